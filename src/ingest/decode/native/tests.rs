//! Tests of `native.rs`.

use super::super::{Layout, decode};
use super::*;

fn gate() -> Gate {
    Gate { latest: Some("2026-06-01T00:01:00Z".parse().unwrap()), known: None, source: "http".into() }
}

fn refusal(text: &str) -> String {
    match Reader::new(&gate()).read(text) {
        Ok(event) => panic!("taken: {event:?}"),
        Err(Bad::Refused(error) | Bad::Unreadable(error)) => error,
    }
}

#[test]
fn every_type_of_the_contract_is_read() {
    let common = r#""time":"2026-05-31T12:00:00+08:00","service":"a","source":"s""#;
    let own = |kind: &str| match kind {
        "latency" => r#","ms":1.5,"count":3"#,
        "measurement" => r#","metric":"packet_loss_ratio","value":0.1"#,
        "maintenance.planned" => {
            r#","maintenance":"m","from":"2026-06-02T00:00:00Z","until":"2026-06-02T01:00:00Z""#
        }
        "maintenance.cancelled" => r#","maintenance":"m""#,
        "survey" => r#","score":99"#,
        "retraction" => r#","of":"x1""#,
        "notice.sent" => r#","notice":"customers","incident":"00ff""#,
        kind if kind.starts_with("case.") => r#","case":"c1","kind":"request""#,
        kind if kind.starts_with("outage.") => {
            r#","outage":"o","severity":"degraded","weight":0.5,"users":7,"cause":"human","detail":"d\n""#
        }
        _ => r#","by":"li","reason":"r","level":2,"incident":"00ff""#,
    };
    for kind in TYPES {
        let text = format!(r#"{{"type":"{kind}",{common}{},"unknown":{{"kept":[1]}}}}"#, own(kind));
        let event = Reader::new(&gate()).read(&text).unwrap_or_else(|bad| panic!("{kind}: {bad:?}"));
        assert_eq!(event.body.type_name(), kind);
        assert_eq!(&*event.source, "s");
    }
}

#[test]
fn what_is_wrong_is_said_with_its_field() {
    let started = |rest: &str| format!(r#"{{"type":"outage.started","time":"2026-05-31T12:00:00Z"{rest}}}"#);
    let cases = [
        (started(""), "`service` is missing"),
        (started(r#","service":"a b""#), "not ' '"),
        (
            format!(r#"{{"type":"outage.started","service":"{}","time":"2026-05-31T12:00:00Z"}}"#, "x".repeat(257)),
            "at most 256",
        ),
        (started(r#","service":"a","id":"""#), "`id` is empty"),
        (started(r#","service":"a","users":-1"#), "`users`: invalid value"),
        (started(r#","service":"a","weight":1.5"#), "`weight` 1.5"),
        (started(r#","service":"a","severity":"bad""#), "`severity` \"bad\""),
        (started(r#","service":"a","cause":"dog""#), "`cause` \"dog\""),
        (started(r#","service":7"#), "`service`: invalid type"),
        (started(r#","service":"a","service":"b""#), "duplicate field"),
        (r#"{"type":"outage.started","service":"a"}"#.into(), "`time` is missing"),
        (r#"{"time":"2026-05-31T12:00:00Z","service":"a"}"#.into(), "`type` is missing"),
        (r#"{"type":"outage.started","service":"a","time":"2026-05-31T12:00:00"}"#.into(), "no offset"),
        (r#"{"type":"outage.started","service":"a","time":"2026-06-01T00:01:00.000001Z"}"#.into(), "too far ahead"),
        (
            r#"{"type":"outage.start","service":"a","time":"2026-05-31T12:00:00Z"}"#.into(),
            "did you mean `outage.started`?",
        ),
        (r#"{"type":"heartbeat","time":"2026-05-31T12:00:00Z"}"#.into(), "`source` is missing"),
        (r#"{"type":"latency","service":"a","ms":-1,"time":"2026-05-31T12:00:00Z"}"#.into(), "`ms` -1"),
        ("{".into(), "not JSON"),
        ("[1]".into(), "not a JSON object"),
        ("nonsense".into(), "not a JSON object"),
    ];
    for (text, expected) in cases {
        let error = refusal(&text);
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn nesting_without_end_is_ignored_where_unknown_fields_are_and_refused_elsewhere() {
    let deep = "[".repeat(100_000);
    let whole = format!("{deep}{}", "]".repeat(100_000));
    let text = format!(r#"{{"type":"survey","score":1,"time":"2026-05-31T12:00:00Z","x":{whole}}}"#);
    assert!(Reader::new(&gate()).read(&text).is_ok());
    let text = format!(r#"{{"type":"survey","score":{whole},"time":"2026-05-31T12:00:00Z"}}"#);
    assert!(refusal(&text).contains("`score`"), "{}", refusal(&text));
    assert!(refusal(&deep).contains("not a JSON object"));
    assert!(decode(Layout::Json, deep.as_bytes(), &gate()).is_unreadable());
}

#[test]
fn good_lines_beside_bad_ones_are_taken() {
    let good = r#"{"type":"survey","score":1,"time":"2026-05-31T12:00:00Z"}"#;
    let body = format!("{good}\r\n\n{good}\n{{bad\n{good}\n\"text\"\n");
    let mut bytes = body.into_bytes();
    bytes.extend_from_slice(b"{\"type\":\"\xff\"}\n");
    let decoded = decode(Layout::Lines, &bytes, &gate());
    assert_eq!(decoded.events.len(), 3);
    assert_eq!(decoded.rejected.iter().map(|r| r.line).collect::<Vec<_>>(), [4, 6, 7]);
    assert_eq!(decoded.lines, format!("{good}\n{good}\n{good}\n").into_bytes());
    assert!(!decoded.is_unreadable());
}

#[test]
fn an_array_is_read_up_to_its_fault() {
    let good = "{\n\"type\":\"survey\",\"score\":1,\"time\":\"2026-05-31T12:00:00Z\"}";
    let decoded = decode(Layout::Json, format!("[{good},{{}},{good},]").as_bytes(), &gate());
    assert_eq!(decoded.events.len(), 2);
    assert_eq!(decoded.rejected.iter().map(|r| r.line).collect::<Vec<_>>(), [2, 4]);
    assert_eq!(decoded.lines.iter().filter(|&&b| b == b'\n').count(), 2);
    let empty = decode(Layout::Json, b" [] ", &gate());
    assert!(empty.events.is_empty() && !empty.is_unreadable());
}

/// Whether a line is read as a plain sample or as anything makes no difference.
#[test]
fn a_sample_is_the_same_however_it_is_read() {
    let gate = Gate::past("http".into());
    let read = |line: &str| format!("{:?}", Reader::new(&gate).read(line));
    let read_any = |line: &str| format!("{:?}", Reader::new(&gate).read_any(line));
    let heads = [
        r#""type":"latency""#,
        r#""type":"measurement""#,
        r#""type":"outage.started""#,
        r#""type":"heartbeat","source":"p""#,
        r#""type":"laten\u0063y""#,
        r#""type":1"#,
        r#""time":null"#,
    ];
    let rests = [
        r#""time":"2026-03-01T00:00:00Z","service":"a","ms":1.5"#,
        r#""time":"2026-03-01T00:00:00Z","service":"a","ms":0.1,"count":3,"id":"x","source":"p","drill":"d"}"#,
        r#""time":"2026-03-01T00:00:00Z","service":"a","ms":"1""#,
        r#""time":"2026-03-01T00:00:00Z","service":"a","ms":1e999"#,
        r#""time":"2026-03-01T00:00:00Z","service":"a","ms":1,"ms":2"#,
        r#""time":"2026-03-01T00:00:00Z","service":"a","ms":1,"note":{"deep":[1]}"#,
        r#""time":"2026-03-01T00:00:00Z","service":"a","metric":"m","value":2.25"#,
        r#""time":"2026-03-01T00:00:00Z","service":"a","metric":"m""#,
        r#""time":"2026-03-01T00:00:00Z","service":"","ms":1,"count":0"#,
        r#""time":"2026-03-01T00:00:00Z","ms":-1"#,
        r#""service":"a","ms":1"#,
        r#""service":"a","ms":1,"severity":"none""#,
        r#""time":"yesterday","service":"a","ms":1,"#,
        "",
    ];
    for head in heads {
        for rest in rests {
            let line = format!("{{{head},{rest}}}");
            assert_eq!(read(&line), read_any(&line), "{line}");
        }
    }
}
