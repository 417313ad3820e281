//! A bad night, for tests: what the daemon says in it, and what is made of that.

use serde_json::{Value, json};

use super::feed::{Figures, Heard};
use super::state::State;
use crate::model::time::{Instant, Span};

/// When the first figures were read, by both clocks.
pub(super) fn noon() -> Instant {
    "2026-03-01T04:00:00Z".parse().unwrap()
}

pub(super) fn after(seconds: i64) -> Instant {
    noon().plus(Span::from_secs(seconds))
}

pub(super) fn figures(network: Instant, local: Instant, open: [u64; 3], receivers: Value) -> Heard {
    let status = json!({
        "now": network.to_string(), "time_zone": "Asia/Shanghai", "services": 112_340, "alerts_firing": 5,
        "incidents_open": { "first": open[0], "second": open[1], "third": open[2] },
    });
    let receivers = serde_json::from_value(json!({ "receivers": receivers })).unwrap();
    Heard::Figures(Figures { status: serde_json::from_value(status).unwrap(), receivers, read: local })
}

/// An incident with one thing after another laid over it.
pub(super) fn incident(id: &str, service: &str, other: Value) -> Value {
    let mut incident = json!({
        "id": id, "level": 3, "status": "open", "started": "2026-03-01T03:50:00Z",
        "detected": "2026-03-01T03:50:09.25Z", "restored": null, "services": [service], "service_count": 1,
        "regions": ["guangdong"], "suspected_cause_service": null, "users": 4754, "users_estimated": false,
        "user_minutes": 47_540.4, "next_level": null, "cause": "unknown", "flaps": 0, "detail": null,
        "stages": [{ "stage": "detected", "at": "2026-03-01T03:50:09.25Z", "by": null, "detail": null }],
        "clocks": [clock("response", json!({})), clock("repair", json!({ "deadline": "2026-03-01T07:50:00Z" }))],
        "levels": [{ "at": "2026-03-01T03:50:00Z", "level": 3, "rule": "third[1]: manual §4.1(1)" }], "drill": null,
    });
    for (name, value) in other.as_object().unwrap() {
        incident[name] = value.clone();
    }
    incident
}

pub(super) fn clock(name: &str, other: Value) -> Value {
    let mut clock = json!({
        "name": name, "until": if name == "repair" { "restored" } else { "acknowledged" },
        "started": "2026-03-01T03:50:09.25Z", "deadline": "2026-03-01T04:20:09.25Z", "stopped": null,
        "breached": null, "cite": null,
    });
    for (name, value) in other.as_object().unwrap() {
        clock[name] = value.clone();
    }
    clock
}

pub(super) fn read(incident: &Value) -> super::said::Incident {
    serde_json::from_value(incident.clone()).unwrap()
}

/// A bad night: one incident of each level, one of a drill, and one that is over.
pub(super) fn night() -> Vec<Value> {
    let overdue = json!({ "deadline": "2026-03-01T03:54:58Z", "breached": "2026-03-01T03:54:58Z" });
    let stopped = json!({ "stopped": "2026-03-01T03:52:00Z" });
    vec![
        incident(
            "00000000000000a1",
            "guangdong/shenzhen/core-ring",
            json!({
                "level": 1, "service_count": 42, "users": 1_234_567, "users_estimated": true,
                "suspected_cause_service": "guangdong/shenzhen/core-ring", "started": "2026-03-01T02:00:00Z",
                "clocks": [clock("response", overdue), clock("repair", json!({ "deadline": null }))],
            }),
        ),
        incident(
            "00000000000000b2",
            "广东/深圳/南山-汇聚-07",
            json!({
                "level": 2, "status": "acknowledged", "next_level": { "level": 1, "at": "2026-03-01T05:05:37Z" },
                "detail": "上行光路信号丢失",
                "stages": [
                    { "stage": "detected", "at": "2026-03-01T03:50:09.25Z", "by": null, "detail": null },
                    { "stage": "acknowledged", "at": "2026-03-01T03:52:00Z", "by": "李雷", "detail": "已派人前往" },
                ],
                "clocks": [clock("response", stopped), clock("repair", json!({ "deadline": "2026-03-01T07:50:00Z" }))],
            }),
        ),
        incident(
            "00000000000000c3",
            "jiangsu/nanjing/site-006",
            json!({
                "next_level": { "level": 2, "at": "2026-03-02T00:30:00Z" }, "detail": "LOS on the uplink",
            }),
        ),
        incident("00000000000000d4", "guangdong/ring-3", json!({ "drill": "ring-cut/20260301T035000Z" })),
        incident(
            "00000000000000e5",
            "hunan/changsha/site-11",
            json!({
                "status": "restored", "restored": "2026-03-01T03:59:00Z", "started": "2026-02-28T22:00:00Z",
            }),
        ),
    ]
}

pub(super) fn state_of(incidents: &[Value]) -> State {
    let mut state = State::new("http://127.0.0.1:9940", Some("li".to_owned()));
    let up =
        json!([{ "name": "oncall", "up": true }, { "name": "chat", "up": false }, { "name": "sms", "up": true }]);
    state.hear(figures(noon(), noon(), [1, 1, 1], up), noon());
    state.hear(Heard::Incidents(incidents.iter().map(read).collect()), noon());
    state
}
