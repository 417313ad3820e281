//! What is on the screen, as text, in terminals of several sizes and as time passes.

use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::style::Color;
use serde_json::{Value, json};

use super::draw::{self, Style};
use super::feed::Heard;
use super::night::{after, figures, incident, night, noon, read, state_of};
use super::state::{State, Wish};
use super::text::width;
use crate::model::time::{Instant, Span};

fn buffer(state: &mut State, local: Instant, columns: u16, lines: u16, style: Style) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(columns, lines)).unwrap();
    terminal.draw(|frame| draw::all(frame, state, local, style)).unwrap();
    terminal.backend().buffer().clone()
}

/// The screen as text, without blanks at the ends of lines. Every line fits, however wide its characters.
fn screen(state: &mut State, local: Instant, columns: u16, lines: u16) -> String {
    let buffer = buffer(state, local, columns, lines, Style { coloured: true });
    let mut text = String::new();
    for y in 0..lines {
        let mut line = String::new();
        let mut x = 0;
        while x < columns {
            let symbol = buffer[(x, y)].symbol();
            line.push_str(symbol);
            x += u16::try_from(width(symbol)).unwrap().max(1);
        }
        assert_eq!(x, columns, "{line:?}");
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[track_caller]
fn assert_screen(state: &mut State, local: Instant, (columns, lines): (u16, u16), expected: &str) {
    let found = screen(state, local, columns, lines);
    let expected = expected.strip_prefix('\n').unwrap();
    assert!(found == expected, "found\n{found}\nand not\n{expected}");
}

fn press(state: &mut State, keys: &str) -> Option<Wish> {
    let mut wish = None;
    for key in keys.chars() {
        let code = match key {
            '\n' => KeyCode::Enter,
            '\u{1b}' => KeyCode::Esc,
            '\u{8}' => KeyCode::Backspace,
            key => KeyCode::Char(key),
        };
        wish = state.key(KeyEvent::new(code, KeyModifiers::NONE), noon());
    }
    wish
}

#[test]
fn a_bad_night_on_80_by_24() {
    assert_screen(
        &mut state_of(&night()),
        noon(),
        (80, 24),
        "
fournines 127.0.0.1:9940  2026-03-01 12:00:00 +08:00 Asia/Shanghai
open: first 1, second 1, third 1  112340 services  5 alerts firing
receivers: 2 of 3 up, DOWN: chat
OPEN: 4
> !!! FIRST   suspected: guangdong/shenzhen/co...  open   ~1.23M users    42 svc
    resp 5m 02s OVER   rep held                                   10:00 2h 00m
   !! SECOND  广东/深圳/南山-汇聚-07          ack. 李雷    4 754 users     1 svc
    resp stopped       rep 3h 50m        then first 13:05         11:50 10m 00s
    ! THIRD   jiangsu/nanjing/site-006             open    4 754 users     1 svc
    resp 20m 09s       rep 3h 50m        then second 03-02 08:30  11:50 10m 00s
    ! THIRD   DRILL ring-cut/20260301T035000Z:...  open    4 754 users     1 svc
    resp 20m 09s       rep 3h 50m                                 11:50 10m 00s
RESTORED in the last day: 1
    ! THIRD   hunan/changsha/site-11                 restored 11:59 after 5h 59m









? help  q quit  a acknowledge  Enter detail  / filter  j/k select
",
    );
}

#[test]
fn a_bad_night_on_60_by_15() {
    assert_screen(
        &mut state_of(&night()),
        noon(),
        (60, 15),
        "
fournines 127.0.0.1:9940
2026-03-01 12:00:00 +08:00 Asia/Shanghai
open: first 1, second 1, third 1  112340 services
5 alerts firing  receivers: 2 of 3 up, DOWN: chat
OPEN: 4
> !!! FIRST   suspected: guangdong/s...  open   ~1.23M users
    resp 5m 02s OVER   rep held          10:00 2h 00m
   !! SECOND  广东/深圳/南山-汇...  ack. 李雷    4 754 users
    resp stopped       rep 3h 50m        first 13:05
    ! THIRD   jiangsu/nanjing/site-006   open    4 754 users
    resp 20m 09s       rep 3h 50m        second 03-02 08:30
    ! THIRD   DRILL ring-cut/2026030...  open    4 754 users
    resp 20m 09s       rep 3h 50m        11:50 10m 00s
RESTORED in the last day: 1
? help  q quit  a acknowledge  Enter detail  / filter
",
    );
}

#[test]
fn all_of_an_incident() {
    let mut state = state_of(&night());
    press(&mut state, "j\n");
    assert_screen(
        &mut state,
        noon(),
        (80, 24),
        "
fournines 127.0.0.1:9940  2026-03-01 12:00:00 +08:00 Asia/Shanghai
open: first 1, second 1, third 1  112340 services  5 alerts firing
receivers: 2 of 3 up, DOWN: chat
!! SECOND  acknowledged  00000000000000b2
  said          上行光路信号丢失
  began         11:50:00, 10m 00s ago; known 11:50:09
  users         4 754 at most; 47540 user-minutes lost
  cause         unknown
  next          first at 13:05:37, in 1h 05m, if nothing changes
Clocks
  response      stopped at 11:52:00, after 1m 50s; limit 12:20:09; until
                acknowledged
  repair        3h 50m left; limit 15:50:00; until restored
Levels
  11:50:00      third: third[1]: manual §4.1(1)
Stages
  11:50:09      detected
  11:52:00      acknowledged by 李雷: 已派人前往
Services: 1
  广东/深圳/南山-汇聚-07



Esc back  q quit  a acknowledge  j/k scroll  ? help
",
    );
    press(&mut state, "G");
    assert_screen(
        &mut state,
        noon(),
        (60, 15),
        "
fournines 127.0.0.1:9940
2026-03-01 12:00:00 +08:00 Asia/Shanghai
open: first 1, second 1, third 1  112340 services
5 alerts firing  receivers: 2 of 3 up, DOWN: chat
  response      stopped at 11:52:00, after 1m 50s; limit
                12:20:09; until acknowledged
  repair        3h 50m left; limit 15:50:00; until restored
Levels
  11:50:00      third: third[1]: manual §4.1(1)
Stages
  11:50:09      detected
  11:52:00      acknowledged by 李雷: 已派人前往
Services: 1
  广东/深圳/南山-汇聚-07
Esc back  q quit  a acknowledge  j/k scroll  ? help
",
    );
    // Back, and its place in the list is kept.
    press(&mut state, "\u{1b}");
    assert!(screen(&mut state, noon(), 80, 24).contains("\n>  !! SECOND"));
}

#[test]
fn the_keys_are_explained() {
    let mut state = state_of(&[]);
    press(&mut state, "?");
    assert_screen(
        &mut state,
        noon(),
        (60, 24),
        "
fournines 127.0.0.1:9940
2026-03-01 12:00:00 +08:00 Asia/Shanghai
open: first 0, second 0, third 0  112340 services
5 alerts firing  receivers: 2 of 3 up, DOWN: chat
j k, arrows   select the next, the one before; g, G the
              first, the last
Enter         all of the selected incident; again, or Esc,
              goes back
a             acknowledge it: asks who you are, once, and
              for a note
/             show only what has this text in a service,
              region, level, cause, id; Esc shows all again
q, Ctrl-C     quit; Esc too, from the list

!!! FIRST, !! SECOND, ! THIRD are the response levels;
  \"second 09:05\" is the level that comes next, and when, if
  nothing changes.
resp, rep: of the response and the repair limit how long is
  left, by how much it is OVER, held, or stopped; LATE is
  after the limit.
~ before users: estimated from the catalogue. +41: so many
  services more. suspected: on which the others hang.

any other key goes back  j/k scroll
",
    );
    press(&mut state, "x");
    assert!(screen(&mut state, noon(), 60, 24).contains("Nothing is out."));
    assert_eq!(press(&mut state, "?q"), Some(Wish::Quit));
}

#[test]
fn without_a_terminal_it_is_one_table() {
    let found = draw::plain(&state_of(&night()), noon());
    let expected = "
fournines 127.0.0.1:9940  2026-03-01 12:00:00 +08:00 Asia/Shanghai  open: first 1, second 1, third 1
112340 services  5 alerts firing  receivers: 2 of 3 up, DOWN: chat

level       state                 from   for           users  services  response        repair       next level          service
!!! FIRST   open                  10:00  2h 00m   ~1 234 567        42  5m 02s OVERDUE  held         -                   suspected: guangdong/shenzhen/core-ring +41
 !! SECOND  acknowledged by 李雷  11:50  10m 00s       4 754         1  stopped         3h 50m left  first 13:05         广东/深圳/南山-汇聚-07
  ! THIRD   open                  11:50  10m 00s       4 754         1  20m 09s left    3h 50m left  second 03-02 08:30  jiangsu/nanjing/site-006
  ! THIRD   open                  11:50  10m 00s       4 754         1  20m 09s left    3h 50m left  -                   DRILL ring-cut/20260301T035000Z: guangdong/ring-3

level      restored  after        users  service
  ! THIRD  11:59     5h 59m       4 754  hunan/changsha/site-11
";
    assert!(found == expected.strip_prefix('\n').unwrap(), "found\n{found}");
}

/// What the clocks of the only incident say after so many seconds.
fn clocks_after(state: &mut State, seconds: i64) -> String {
    let screen = screen(state, after(seconds), 120, 10);
    let line = screen.lines().find(|line| line.contains("response ")).unwrap();
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn clocks_count_down_second_by_second_and_past_their_limit() {
    let mut state = state_of(&[incident("00000000000000c3", "core", json!({}))]);
    let expected = [
        (0, "response 20m 09s left repair 3h 50m left from 11:50, 10m 00s"),
        (1, "response 20m 08s left repair 3h 49m left from 11:50, 10m 01s"),
        (1209, "response 0s left repair 3h 29m left from 11:50, 30m 09s"),
        (1210, "response 0s OVERDUE repair 3h 29m left from 11:50, 30m 10s"),
        (1512, "response 5m 02s OVERDUE repair 3h 24m left from 11:50, 35m 12s"),
        // A limit is kept at its very instant.
        (13_800, "response 3h 29m OVERDUE repair 0s left from 11:50, 4h 00m"),
        (13_801, "response 3h 29m OVERDUE repair 1s OVERDUE from 11:50, 4h 00m"),
        (200_000, "response 2d 07h OVERDUE repair 2d 03h OVERDUE from 03-01 11:50, 2d 07h"),
    ];
    for (seconds, expected) in expected {
        assert_eq!(clocks_after(&mut state, seconds), expected);
    }
}

#[test]
fn the_clock_of_a_demo_is_followed_at_its_pace() {
    let mut state = state_of(&[incident("00000000000000c3", "core", json!({}))]);
    assert!(clocks_after(&mut state, 4).starts_with("response 20m 05s left"));
    // Sixty times as fast, and the readings come a little late.
    let network = noon().plus(Span::from_secs(300));
    state.hear(figures(network, after(5).plus(Span::from_millis(30)), [0, 0, 1], json!([])), after(5));
    assert!(clocks_after(&mut state, 6).starts_with("response 14m 11s left"), "{}", clocks_after(&mut state, 6));
    // Of a connection that stands anew nothing is concluded from before.
    state.hear(Heard::Lost("gone".into(), Duration::from_secs(1)), after(7));
    state.hear(figures(noon(), after(100), [0, 0, 1], json!([])), after(100));
    state.hear(figures(after(10), after(110), [0, 0, 1], json!([])), after(110));
    assert!(clocks_after(&mut state, 111).starts_with("response "));
}

#[test]
fn a_lost_connection_is_said_and_what_is_shown_is_marked_as_old() {
    let mut state = state_of(&night()[2..3]);
    let lost = |seconds| Heard::Lost("connection refused".into(), Duration::from_secs(seconds));
    state.hear(lost(1), after(10));
    state.hear(lost(8), after(13));
    assert_screen(
        &mut state,
        after(15),
        (80, 9),
        "
fournines 127.0.0.1:9940  2026-03-01 12:00:15 +08:00 Asia/Shanghai
open: first 0, second 0, third 1  112340 services  5 alerts firing
receivers: 2 of 3 up, DOWN: chat
NO CONNECTION since 12:00:10 (5s), trying again in 6s: connection refused. What
  is shown is OLD.
OPEN: 1 OLD
>   ! THIRD   jiangsu/nanjing/site-006             open    4 754 users     1 svc
    resp 19m 54s       rep 3h 49m        then second 03-02 08:30  11:50 10m 15s
? help  q quit  a acknowledge  Enter detail  / filter  j/k select
",
    );
    // It counts on, and is right again when it is back.
    state.hear(Heard::Incidents(Vec::new()), after(20));
    let back = screen(&mut state, after(20), 80, 9);
    assert!(!back.contains("OLD") && !back.contains("NO CONNECTION") && back.contains("Nothing is out."), "{back}");
}

#[test]
fn before_the_first_answer_nothing_is_claimed() {
    let mut state = State::new("http://noc:9940/", None);
    assert_screen(
        &mut state,
        noon(),
        (60, 4),
        "
fournines noc:9940  connecting


? help  q quit  a acknowledge  Enter detail  / filter
",
    );
    state.hear(Heard::Lost("http://noc:9940: connection refused".into(), Duration::from_secs(1)), noon());
    let screen = screen(&mut state, after(1), 60, 6);
    assert!(screen.contains("connection refused") && !screen.contains("Nothing is out"), "{screen}");
}

#[test]
fn changes_are_taken_in_as_they_come() {
    let mut state = state_of(&night()[2..3]);
    let changed = |incident: &Value| Heard::Changed(Box::new(read(incident)));
    let open = |state: &State| state.open().iter().map(|incident| incident.id.clone()).collect::<Vec<_>>();
    press(&mut state, "j");
    // A graver one comes above, and the selection stays where it was.
    state.hear(changed(&incident("00000000000000f6", "edge", json!({ "level": 1 }))), noon());
    assert_eq!(open(&state), ["00000000000000f6", "00000000000000c3"]);
    assert_eq!(state.open_by_level(), [1, 0, 1]);
    assert!(screen(&mut state, noon(), 80, 24).contains("\n>   ! THIRD"));
    let over = json!({ "status": "restored", "restored": "2026-03-01T04:00:00Z", "level": 1 });
    state.hear(changed(&incident("00000000000000f6", "edge", over)), noon());
    assert_eq!((open(&state).len(), state.restored(noon()).len(), state.open_by_level()), (1, 1, [0, 0, 1]));
    assert_eq!(state.restored(after(86_400)).len(), 0, "a day later it is not lately any more");
    state.hear(changed(&incident("00000000000000c3", "site", json!({ "status": "withdrawn" }))), noon());
    assert_eq!(open(&state), [""; 0]);
}

#[test]
fn an_incident_that_goes_while_it_is_looked_at_is_not_taken_for_another() {
    let mut state = state_of(&night());
    press(&mut state, "j\n");
    state.hear(
        Heard::Changed(Box::new(read(&incident("00000000000000b2", "x", json!({ "status": "merged" }))))),
        noon(),
    );
    assert!(screen(&mut state, noon(), 80, 24).contains("no incident of its own"));
    assert_eq!(press(&mut state, "a"), None);
    assert!(screen(&mut state, noon(), 80, 24).contains("there is no incident"));
}

#[test]
fn an_acknowledgement_asks_for_a_name_once_and_for_a_note() {
    let mut state = state_of(&night());
    press(&mut state, "a");
    let prompt = screen(&mut state, noon(), 80, 24);
    assert!(prompt.ends_with("\nAcknowledge as (Esc: not): li\n"), "{prompt}");
    // The name may be another one, and q is a letter of it.
    let wish = press(&mut state, "\u{8}\u{8}qin\non my way\n");
    let asked = |id: &str, note: &str| Wish::Acknowledge { id: id.into(), by: "qin".into(), note: note.into() };
    assert_eq!(wish, Some(asked("00000000000000a1", "on my way")));
    press(&mut state, "ja");
    // What comes meanwhile does not change of which incident it is.
    let graver = incident("00000000000000f6", "edge", json!({ "level": 1 }));
    state.hear(Heard::Changed(Box::new(read(&graver))), noon());
    assert_eq!(press(&mut state, "\n"), Some(asked("00000000000000b2", "")));
    state.hear(Heard::Answered(Err("409 Conflict: it is over".into())), noon());
    assert!(screen(&mut state, noon(), 80, 24).ends_with("\nnot acknowledged: 409 Conflict: it is over\n"));
    assert!(!screen(&mut state, after(60), 80, 24).contains("409"));
    // Not after all; and not of what is over.
    assert_eq!((press(&mut state, "ax\u{1b}"), state.input.is_none()), (None, true));
    assert_eq!((press(&mut state, "Ga\n"), state.input.is_none()), (None, true));
}

#[test]
fn nobody_acknowledges_without_a_name() {
    let mut state = State::new("http://127.0.0.1:9940", None);
    state.hear(Heard::Incidents(night().iter().map(read).collect()), noon());
    assert_eq!(press(&mut state, "a  \n"), None);
    assert!(state.input.is_none() && state.said(noon()).unwrap().contains("nobody's name"));
}

#[test]
fn a_filter_looks_into_all_of_an_incident() {
    let mut state = state_of(&night());
    let mut shown = |keys: &str| {
        press(&mut state, keys);
        let ids = state.open().into_iter().chain(state.restored(noon())).map(|incident| &incident.id[14..]);
        ids.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(shown(""), "a1 b2 c3 d4 e5");
    assert_eq!(shown("/南山"), "b2");
    assert_eq!(shown("\n"), "b2");
    assert_eq!(shown("/\u{8}\u{8}NANJING\n"), "c3");
    assert_eq!(shown("\u{1b}"), "a1 b2 c3 d4 e5");
    assert_eq!(shown("/los ON\n"), "c3");
    assert_eq!(shown("\u{1b}"), "a1 b2 c3 d4 e5");
    assert_eq!(shown("/first\n"), "a1");
    assert_eq!(shown("/x\u{1b}"), "a1 b2 c3 d4 e5");
    assert_eq!(press(&mut state, "\u{1b}"), Some(Wish::Quit));
}

#[test]
fn the_selected_incident_is_in_sight_in_a_storm() {
    let storm: Vec<Value> =
        (0..500).map(|n| incident(&format!("{n:016x}"), &format!("site-{n:03}"), json!({}))).collect();
    let mut state = state_of(&storm);
    let up = figures(noon(), noon(), [0, 0, 20_000], json!([]));
    state.hear(up, noon());
    let top = screen(&mut state, noon(), 60, 15);
    assert!(top.contains("third 20000") && top.contains("> "), "{top}");
    for _ in 0..7 {
        press(&mut state, "j");
    }
    let moved = screen(&mut state, noon(), 60, 15);
    assert!(moved.contains(">   ! THIRD   site-007") && !moved.contains("site-001"), "{moved}");
    press(&mut state, "G");
    assert!(screen(&mut state, noon(), 60, 15).contains(">   ! THIRD   site-499"));
    let long = screen(&mut state, noon(), 80, 1200);
    assert!(long.contains("and 19500 more, which are not listed here"));
}

#[test]
fn colour_is_there_to_help_and_can_be_done_without() {
    let mut state = state_of(&night());
    let colours = |state: &mut State, coloured| {
        let buffer = buffer(state, noon(), 80, 24, Style { coloured });
        buffer.content.iter().any(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset)
    };
    assert!(colours(&mut state, true));
    state.hear(Heard::Lost("gone".into(), Duration::from_secs(1)), noon());
    assert!(!colours(&mut state, false));
}

#[test]
fn no_size_of_terminal_is_too_much_for_it() {
    for keys in ["", "\n", "?", "a", "/"] {
        let mut state = state_of(&night());
        state.hear(Heard::Lost("gone".into(), Duration::from_secs(1)), noon());
        press(&mut state, keys);
        for columns in 1..=90 {
            for lines in [1, 2, 3, 5, 15] {
                screen(&mut state, noon(), columns, lines);
            }
        }
    }
}

#[test]
fn what_others_wrote_moves_no_cursor() {
    let evil = incident("00000000000000c3", "core\u{1b}[2J", json!({ "detail": "a\u{1b}]0;x\u{7}\nb" }));
    let mut state = state_of(&[evil]);
    assert!(!draw::plain(&state, noon()).contains('\u{1b}'));
    press(&mut state, "\n");
    assert!(!screen(&mut state, noon(), 80, 24).contains('\u{1b}'));
}
