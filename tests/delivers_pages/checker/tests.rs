//! The checker fails on what is wrong, and excuses no more than it says.

use super::*;

fn at(millis: i64) -> Instant {
    Instant::from_micros(0).plus(Span::from_millis(millis))
}

fn page(name: &str) -> Page {
    let labels = [("alertname", "ServiceInterruption"), ("incident", name)];
    Page { labels: labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into(), starts: at(0) }
}

fn decided(name: &str, ended: Option<i64>, when: i64) -> Decision {
    Decision { page: page(name), ended: ended.map(at), at: at(when) }
}

fn told(from: Party, to: Party, ended: Option<i64>, when: i64) -> Telling {
    let (arrived, answered) = (at(when), at(when + 5));
    let page = page("x");
    Telling { from, to, page, ended: ended.map(at), arrived, answered, taken: true, acknowledged: true, id: None }
}

fn trouble(whom: Party, what: &'static str, from: i64, until: i64) -> Trouble {
    Trouble { whom, what, from: at(from), until: at(until) }
}

/// One page of thirty seconds, told as it should be.
fn good() -> Records {
    use Party::{A, B, Daemon, Pager};
    Records {
        decisions: vec![decided("x", None, 0), decided("x", Some(30_000), 30_000)],
        tellings: vec![
            told(Daemon, A, None, 10),
            told(Daemon, B, None, 12),
            told(A, Pager, None, 20),
            told(Daemon, A, Some(30_000), 30_010),
            told(Daemon, B, Some(30_000), 30_012),
            told(A, Pager, Some(30_000), 31_000),
        ],
        troubles: Vec::new(),
    }
}

/// The same for the desk.
fn desk() -> Records {
    let message = |ended, when, id: &str| Telling {
        id: Some(id.to_owned()),
        ..told(Party::Daemon, Party::Desk, ended, when)
    };
    let tellings = vec![message(None, 10, "1"), message(None, 40, "1"), message(Some(30_000), 30_010, "2")];
    Records { tellings, ..good() }
}

fn counts(verdict: &Verdict) -> (usize, usize, usize) {
    (verdict.missing.len(), verdict.wrong.len(), verdict.excused.values().map(Vec::len).sum())
}

/// What is missing, wrong and excused of the good records after a change.
fn pair(change: impl FnOnce(&mut Records)) -> (usize, usize, usize) {
    let mut records = good();
    change(&mut records);
    counts(&records.pair())
}

fn at_desk(change: impl FnOnce(&mut Records)) -> (usize, usize, usize) {
    let mut records = desk();
    change(&mut records);
    counts(&records.desk())
}

#[test]
fn what_is_right_is_right() {
    assert_eq!(pair(|_| {}), (0, 0, 0));
    assert_eq!(at_desk(|_| {}), (0, 0, 0));
    assert_eq!((good().pair().pages, good().pair().ends), (1, 1));
}

#[test]
fn what_never_came_is_missed() {
    let lose = |place: usize| move |records: &mut Records| drop(records.tellings.remove(place));
    assert_eq!(pair(lose(2)), (1, 0, 0));
    assert_eq!(pair(lose(5)), (1, 0, 0));
    assert_eq!(at_desk(|records| drop(records.tellings.drain(..2))), (1, 0, 0));
    assert_eq!(at_desk(lose(2)), (1, 0, 0));
}

#[test]
fn what_was_not_acknowledged_did_not_come() {
    assert_eq!(pair(|records| records.tellings[2].acknowledged = false), (1, 0, 0));
    assert_eq!(at_desk(|records| records.tellings[2].acknowledged = false), (1, 0, 0));
}

#[test]
fn what_nobody_decided_is_wrong() {
    // Another start, another end, and a page of which nothing is decided.
    assert_eq!(pair(|records| records.tellings[2].page.starts = at(1)), (1, 1, 0));
    assert_eq!(pair(|records| records.tellings[5].ended = Some(at(29_999))), (1, 1, 0));
    assert_eq!(pair(|records| records.tellings[2].page = page("y")), (1, 1, 0));
    // A lapse: over while it fires.
    assert_eq!(
        pair(|records| records.tellings.push(told(Party::B, Party::Pager, Some(16_000), 16_100))),
        (0, 1, 0)
    );
}

#[test]
fn a_page_left_standing_after_its_end_is_missed() {
    let late = told(Party::B, Party::Pager, None, 60_000);
    assert_eq!(pair(|records| records.tellings.push(late)), (1, 1, 0));
}

/// A second page of B, a second later, with some trouble.
fn twice(trouble: Option<Trouble>) -> (usize, usize, usize) {
    pair(|records| {
        records.tellings.push(told(Party::B, Party::Pager, None, 1_020));
        records.troubles.extend(trouble);
    })
}

#[test]
fn a_page_that_comes_twice_is_wrong_but_for_who_was_killed_around_it() {
    assert_eq!(twice(None), (0, 1, 0));
    assert_eq!(twice(Some(trouble(Party::A, "killed", 30, 900))), (0, 0, 1));
    assert_eq!(twice(Some(trouble(Party::B, "paused", 30, 900))), (0, 0, 1));
    // After the second, long before the first, or somebody else.
    assert_eq!(twice(Some(trouble(Party::A, "killed", 1_500, 2_000))), (0, 1, 0));
    assert_eq!(twice(Some(trouble(Party::A, "killed", -900, 10))), (0, 1, 0));
    assert_eq!(twice(Some(trouble(Party::Daemon, "killed", 30, 900))), (0, 1, 0));
    assert_eq!(twice(Some(trouble(Party::DoorA, "slow", 30, 900))), (0, 1, 0));
}

#[test]
fn a_page_that_comes_twice_long_after_is_wrong_whoever_was_killed() {
    let late = |records: &mut Records| {
        records.tellings.push(told(Party::B, Party::Pager, None, 20_000));
        records.troubles.push(trouble(Party::A, "killed", 5_000, 6_000));
    };
    assert_eq!(pair(late), (0, 1, 0));
}

#[test]
fn a_refused_try_excuses_the_one_that_was_refused_only() {
    // B was refused before the pager accepted it from A.
    assert_eq!(twice(Some(trouble(Party::Pager, "answered 500", -50, 15))), (0, 0, 1));
    // It was refused only after that.
    assert_eq!(twice(Some(trouble(Party::Pager, "answered 500", 100, 900))), (0, 1, 0));
    let by_the_same = |records: &mut Records| {
        records.tellings.push(told(Party::A, Party::Pager, None, 1_020));
        records.troubles.push(trouble(Party::Pager, "answered 500", -50, 15));
    };
    assert_eq!(pair(by_the_same), (0, 1, 0));
}

#[test]
fn whoever_is_refused_again_and_again_has_tried_all_the_while() {
    let tries = |refused: &'static [i64]| {
        move |records: &mut Records| {
            let refusals = refused.iter().map(|&when| {
                let refusal = told(Party::B, Party::Pager, None, when);
                Telling { acknowledged: false, ..refusal }
            });
            records.tellings.extend(refusals);
            records.tellings.push(told(Party::B, Party::Pager, None, 9_000));
            records.troubles.push(trouble(Party::Pager, "answered 500", -50, 15));
        }
    };
    assert_eq!(pair(tries(&[10, 2_000, 5_000])), (0, 0, 1));
    // It had given up, or began only then.
    assert_eq!(pair(tries(&[10])), (0, 1, 0));
}

#[test]
fn what_everybody_heard_the_end_of_at_once_is_excused() {
    use Party::{A, B, Daemon};
    let brief = |end_to_b: i64| {
        move |records: &mut Records| {
            records.decisions[1] = decided("x", Some(9), 9);
            records.tellings = vec![
                told(Daemon, A, None, 10),
                told(Daemon, B, None, 12),
                told(Daemon, A, Some(9), 17),
                told(Daemon, B, Some(9), end_to_b),
            ];
        }
    };
    assert_eq!(pair(brief(19)), (0, 0, 1));
    // B had the time to look.
    assert_eq!(pair(brief(900)), (1, 0, 0));
    // It takes longer to look when it has just started.
    let starting = |until: i64, end_to_b: i64| {
        move |records: &mut Records| {
            brief(end_to_b)(records);
            records.troubles.push(trouble(B, "killed", until - 3000, until));
        }
    };
    assert_eq!(pair(brief(100)), (1, 0, 0));
    assert_eq!(pair(starting(-300, 100)), (0, 0, 1));
    assert_eq!(pair(starting(-300, 250)), (1, 0, 0));
    assert_eq!(pair(starting(-1000, 100)), (1, 0, 0), "it was there again for long");
}

#[test]
fn a_page_that_was_over_while_the_second_waited_is_excused_with_its_second_end() {
    let again = |from, page, end| {
        move |records: &mut Records| {
            records.tellings.push(told(from, Party::Pager, None, page));
            records.tellings.push(told(from, Party::Pager, Some(30_000), end));
        }
    };
    assert_eq!(pair(again(Party::B, 31_500, 34_500)), (0, 0, 2));
    // Nobody waits so long, and nobody waits for itself.
    assert_eq!(pair(again(Party::B, 39_500, 42_500)), (0, 1, 1));
    assert_eq!(pair(again(Party::A, 31_500, 34_500)), (0, 1, 1));
}

/// A page of five seconds of which nobody was told.
fn untold(records: &mut Records) {
    records.tellings.clear();
    records.decisions[1] = decided("x", Some(5_000), 5_000);
}

#[test]
fn what_nobody_could_be_told_is_excused_and_what_somebody_could_is_not() {
    assert_eq!(pair(untold), (1, 0, 0));
    let failing = |troubles: Vec<Trouble>| {
        move |records: &mut Records| {
            untold(records);
            records.troubles = troubles;
        }
    };
    let of = |whom| trouble(whom, "slow", 100, 1_000);
    assert_eq!(pair(failing(vec![of(Party::Daemon)])), (0, 0, 1));
    assert_eq!(pair(failing(vec![of(Party::A), of(Party::DoorB)])), (0, 0, 1));
    assert_eq!(pair(failing(vec![of(Party::A), of(Party::DoorA)])), (1, 0, 0));
    assert_eq!(pair(failing(vec![trouble(Party::Daemon, "killed", -3_000, -2_000)])), (1, 0, 0));
    // The daemon was heard while it fired, and did not say this.
    let heard = |records: &mut Records| {
        failing(vec![of(Party::Daemon)])(records);
        records.decisions.push(decided("y", None, 0));
        records.tellings.push(Telling { page: page("y"), ..told(Party::Daemon, Party::A, None, 3_000) });
        records.tellings.push(Telling { page: page("y"), ..told(Party::A, Party::Pager, None, 3_010) });
    };
    assert_eq!(pair(heard), (1, 0, 0));
    // It had only just been there again, and was at others first.
    let at_others = |records: &mut Records| {
        heard(records);
        records.troubles = vec![trouble(Party::Daemon, "killed", 100, 2_500)];
    };
    assert_eq!(pair(at_others), (0, 0, 1));
    let over_at = |millis: i64| {
        pair(|records| {
            untold(records);
            records.decisions[1] = decided("x", Some(millis), millis);
        })
    };
    assert_eq!((over_at(1), over_at(200)), ((0, 0, 1), (1, 0, 0)));
    // It was long, or it fires on.
    let long = |records: &mut Records| {
        records.tellings.clear();
        records.troubles = vec![of(Party::Daemon)];
    };
    assert_eq!(pair(long), (1, 0, 0));
    let on = |records: &mut Records| {
        long(records);
        records.decisions.pop();
    };
    assert_eq!(pair(on), (1, 0, 0));
}

#[test]
fn what_fires_again_at_once_is_one_page_to_an_alertmanager() {
    let again = |gap: i64| {
        pair(|records| {
            let next = Page { starts: at(30_000 + gap), ..page("x") };
            let until = at(90_000);
            let fires = Decision { page: next.clone(), ended: None, at: next.starts };
            records.decisions.extend([fires, Decision { page: next.clone(), ended: Some(until), at: until }]);
            let end = Telling { page: next, ..told(Party::A, Party::Pager, Some(90_000), 90_010) };
            records.tellings[5] = end;
        })
    };
    assert_eq!(again(600), (0, 0, 2));
    assert_eq!(again(9_000), (2, 0, 0));
}

#[test]
fn what_is_joined_begins_as_the_one_and_ends_as_the_other() {
    let joined = |gap: i64| {
        pair(|records| {
            let next = Page { starts: at(30_000 + gap), ..page("x") };
            let until = at(40_000 + gap);
            let fires = Decision { page: next.clone(), ended: None, at: next.starts };
            records.decisions.extend([fires, Decision { page: next, ended: Some(until), at: until }]);
            records.tellings[5].ended = Some(until);
        })
    };
    // The first has no end of its own then, and the second no page.
    assert_eq!(joined(600), (0, 0, 3));
    assert_eq!(joined(9_000), (2, 1, 0));
}

#[test]
fn what_is_joined_may_have_begun_before_that_was_learned() {
    let joined = |learned: i64| {
        pair(|records| {
            let next = Page { starts: at(29_500), ..page("x") };
            let until = at(45_000);
            let fires = Decision { page: next.clone(), ended: None, at: at(learned) };
            records.decisions.extend([fires, Decision { page: next, ended: Some(until), at: until }]);
            records.tellings[5].ended = Some(until);
        })
    };
    assert_eq!(joined(30_000), (0, 0, 3));
    assert_eq!(joined(39_000), (2, 1, 0));
}

#[test]
fn an_end_that_was_decided_twice_is_two_messages_to_the_desk() {
    let second = |records: &mut Records| {
        let again = Telling { id: Some("3".to_owned()), ..records.tellings[2].clone() };
        records.tellings.push(again);
    };
    assert_eq!(at_desk(second), (0, 1, 0));
    let decided_twice = |records: &mut Records| {
        second(records);
        records.decisions.extend([decided("x", None, 30_300), decided("x", Some(30_000), 30_310)]);
    };
    assert_eq!(at_desk(decided_twice), (0, 0, 0));
}

#[test]
fn an_end_that_is_decided_anew_may_be_told_as_it_was_decided_first() {
    let again = |ended: i64| {
        pair(|records| {
            records.decisions.extend([decided("x", None, 50_000), decided("x", Some(ended), 58_000)]);
        })
    };
    assert_eq!(again(29_000), (0, 0, 1));
    assert_eq!(again(57_000), (1, 0, 0));
}

#[test]
fn what_fires_again_and_is_over_again_at_once_needs_no_second_end() {
    let again = |fires: i64, over: i64| {
        pair(|records| {
            records.decisions.extend([decided("x", None, fires), decided("x", Some(over), over)]);
        })
    };
    assert_eq!(again(31_100, 35_000), (0, 0, 1));
    // Long enough to be looked at.
    assert_eq!(again(31_100, 40_000), (1, 0, 0));
    // Long after the end that was told.
    assert_eq!(again(50_000, 51_000), (1, 0, 0));
    // It fires on, and the pager was told that it is over.
    assert_eq!(pair(|records| records.decisions.push(decided("x", None, 31_100))), (1, 0, 0));
    // Again and again: a look falls into it.
    let twice = |records: &mut Records| {
        for (fires, over) in [(31_100, 32_000), (33_000, 36_000)] {
            records.decisions.extend([decided("x", None, fires), decided("x", Some(over), over)]);
        }
    };
    assert_eq!(pair(twice), (1, 0, 0));
}

#[test]
fn a_page_from_one_that_could_not_be_told_of_the_end_is_excused() {
    let late = |whom| {
        pair(|records| {
            records.tellings[4] = told(Party::Daemon, Party::B, Some(30_000), 39_900);
            records.tellings.push(told(Party::B, Party::Pager, None, 38_000));
            records.tellings.push(told(Party::B, Party::Pager, Some(30_000), 41_000));
            records.troubles.push(trouble(whom, "closed", 30_500, 32_000));
        })
    };
    assert_eq!(late(Party::DoorB), (0, 0, 2));
    assert_eq!(late(Party::DoorA), (0, 1, 1));
    // It was told while it tried again and again; or before it began to.
    let refused = |told_end: i64| {
        pair(|records| {
            records.tellings[4] = told(Party::Daemon, Party::B, Some(30_000), told_end);
            let refusals = [37_000, 38_000].map(|when| told(Party::B, Party::Pager, None, when));
            records.tellings.extend(refusals.map(|refusal| Telling { acknowledged: false, ..refusal }));
            records.tellings.push(told(Party::B, Party::Pager, None, 39_000));
            records.tellings.push(told(Party::B, Party::Pager, Some(30_000), 41_000));
            records.troubles.push(trouble(Party::DoorB, "closed", 30_500, 32_000));
        })
    };
    assert_eq!(refused(37_500), (0, 0, 2));
    assert_eq!(refused(36_000), (0, 1, 1));
}

#[test]
fn what_both_told_at_the_same_moment_is_excused() {
    let both = |after: i64| {
        pair(|records| records.tellings.push(told(Party::B, Party::Pager, Some(30_000), 31_000 + after)))
    };
    assert_eq!(both(20), (0, 0, 1));
    assert_eq!(both(400), (0, 1, 0));
}

#[test]
fn who_knew_and_was_killed_is_excused_if_nobody_else_knew() {
    let only_a = |records: &mut Records| {
        records.tellings = vec![told(Party::Daemon, Party::A, None, 10)];
        records.troubles = vec![trouble(Party::A, "killed", 12, 900)];
    };
    assert_eq!(pair(only_a), (0, 0, 1));
    let b_too = |records: &mut Records| {
        only_a(records);
        records.tellings.push(told(Party::Daemon, Party::B, None, 10));
    };
    assert_eq!(pair(b_too), (1, 0, 0));
}

#[test]
fn a_message_to_the_desk_is_one_by_its_id() {
    let second = |records: &mut Records| records.tellings[1].id = Some("3".to_owned());
    assert_eq!(at_desk(second), (0, 1, 0));
    let shared = |records: &mut Records| records.tellings[2].id = Some("1".to_owned());
    assert_eq!(at_desk(shared), (0, 1, 0));
    let unsigned = |records: &mut Records| records.tellings[2].id = None;
    assert_eq!(at_desk(unsigned), (0, 1, 0));
}

#[test]
fn the_desk_need_not_be_told_of_what_was_brief_and_could_not_be_told() {
    let failing = |records: &mut Records| {
        untold(records);
        records.troubles = vec![trouble(Party::Desk, "closed", 100, 1_900)];
    };
    assert_eq!(at_desk(failing), (0, 0, 1));
    assert_eq!(at_desk(untold), (1, 0, 0));
    // What it may have heard of is told as over.
    let tried = |records: &mut Records| {
        failing(records);
        records.tellings = vec![Telling { acknowledged: false, ..desk().tellings[0].clone() }];
    };
    assert_eq!(at_desk(tried), (1, 0, 1));
    // What was longer is told in any case.
    let long = |records: &mut Records| {
        failing(records);
        records.decisions[1] = decided("x", Some(30_000), 30_000);
    };
    assert_eq!(at_desk(long), (2, 0, 0));
}

#[test]
fn two_daemons_may_each_be_right() {
    let mut records = good();
    let later = |decision: &Decision| {
        let page = Page { starts: at(3), ..decision.page.clone() };
        Decision { page, ended: decision.ended.map(|ended| ended.plus(Span::from_millis(2))), at: decision.at }
    };
    let second: Vec<Decision> = records.decisions.iter().map(later).collect();
    records.tellings[2].page.starts = at(3);
    records.tellings[5].ended = Some(at(30_002));
    assert_eq!(counts(&records.pair()), (1, 2, 0));
    let mut merged = records.clone();
    merged.merge(&second);
    assert_eq!(counts(&merged.pair()), (0, 0, 0));
    // What only the second decided is owed all the same.
    records.merge(&[second, vec![decided("z", None, 0)]].concat());
    assert_eq!(counts(&records.pair()), (1, 0, 0));
}
