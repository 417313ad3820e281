//! Tests of `words.rs`.

use super::*;
use crate::config::Runbook;
use crate::model::alert::{About, AlertFacts, AlertName, IncidentFacts, Owner};
use crate::model::because::Because;
use crate::model::calendar::Calendar;
use crate::model::event::Cause;
use crate::model::incident::IncidentId;
use crate::model::level::Level;
use crate::model::service::ServiceName;
use crate::model::time::Window;
use crate::words::{Language, Words};

fn wording(runbooks: Vec<Runbook>, summary: Option<&str>) -> Wording {
    let own: Vec<(Text, String)> = summary.map(|source| (Text::Summary, source.to_owned())).into_iter().collect();
    let words = Words::new(Language::English, Calendar::default(), &own).unwrap();
    let runbook_url = Some("{base_url}/runbooks/{alertname}".to_owned());
    let texts = Texts { words, runbook_url, runbooks };
    Wording { texts, base_url: "https://nines.example.net".to_owned(), telemetry: Telemetry::new().unwrap() }
}

fn interruption(scope: &str, services: u64, cause: Cause) -> Alert {
    let incident = IncidentFacts {
        users: Some(5),
        users_estimated: false,
        next_level: None,
        quiet_since: None,
        detected: Instant::MIN,
        acknowledged: None,
        acknowledged_by: None,
        services,
        region: String::new(),
        groups: vec!["gold".into()],
        cause,
        clocks: Vec::new(),
        maintenance: None,
        detail: None,
    };
    let about = About::Incident {
        id: IncidentId(1),
        level: Level::First,
        scope: ServiceName::new(scope).unwrap(),
        region: String::new(),
        drill: None,
    };
    let starts = Instant::from_micros(0);
    let because = Because::Rule("first[1]".to_owned());
    let facts = AlertFacts { started: starts, because, spent_at: None, incident: Some(incident) };
    Alert { key: AlertKey { name: AlertName::ServiceInterruption, about }, starts, facts }
}

fn budget(of: Owner) -> AlertKey {
    AlertKey { name: AlertName::ErrorBudgetExhausted, about: About::Budget { of, window: Window::Month } }
}

#[test]
fn an_alert_leads_to_the_board_the_runbook_and_the_figures() {
    let wording = wording(Vec::new(), None);
    let alert = interruption("core/gz-1", 1, Cause::Unknown);
    let all = wording.annotations(&alert, None);
    assert_eq!(
        all.keys().copied().collect::<Vec<_>>(),
        ["board_url", "description", "runbook_url", "started", "summary", "users"]
    );
    let id = IncidentId(1);
    assert_eq!(all["board_url"], format!("https://nines.example.net/?incident={id}"));
    assert_eq!(all["runbook_url"], "https://nines.example.net/runbooks/ServiceInterruption");
    assert_eq!((&*all["started"], &*all["users"]), ("1970-01-01T00:00:00Z", "5"));
    assert_eq!(wording.alive()["runbook_url"], "https://nines.example.net/runbooks/Watchdog");
    let url = |key: &AlertKey| wording.generator_url(key).replace("https://nines.example.net/api/v1", "");
    assert_eq!(url(&alert.key), format!("/incidents/{id}"));
    assert_eq!(url(&budget(Owner::Group("tier:a/b".to_owned()))), "/services?group=tier%3Aa%2Fb");
    let silent = AlertKey { name: AlertName::SourceSilent, about: About::Feed { input: "nms".to_owned() } };
    assert_eq!(url(&silent), "/status");
    assert_eq!(url(&budget(Owner::Service(ServiceName::new("a/b").unwrap()))), "/services/a%2Fb");
}

#[test]
fn the_first_runbook_of_which_all_fits_gives_the_link() {
    let to = |url: &str| Runbook { url: url.to_owned(), ..Runbook::default() };
    let some = |text: &str| Some(text.to_owned());
    let runbooks = vec![
        Runbook { service: some("core/*"), cause: Some(Cause::External), ..to("https://wiki/dig") },
        Runbook { service: some("core/"), ..to("https://wiki/never") },
        Runbook { service: some("core/*"), alertname: Some(AlertName::RepairOverdue), ..to("https://wiki/late") },
        Runbook { service: some("core/*"), ..to("https://wiki/core/{alertname}") },
        Runbook { group: some("gold"), ..to("https://wiki/gold") },
    ];
    let wording = wording(runbooks, None);
    let of = |scope, cause| wording.annotations(&interruption(scope, 1, cause), None)["runbook_url"].clone();
    assert_eq!(of("core/gz-1", Cause::External), "https://wiki/dig");
    assert_eq!(of("core/gz-1", Cause::Unknown), "https://wiki/core/ServiceInterruption");
    assert_eq!(of("corelike", Cause::External), "https://wiki/gold");
    let mut alert = interruption("x", 1, Cause::External);
    (alert.key, alert.facts.incident) = (budget(Owner::Group("gold".to_owned())), None);
    assert_eq!(wording.annotations(&alert, None)["runbook_url"], "https://wiki/gold");
    alert.key = budget(Owner::Group("silver".to_owned()));
    assert!(wording.annotations(&alert, None)["runbook_url"].ends_with("/runbooks/ErrorBudgetExhausted"));
}

#[test]
fn a_template_that_fails_says_a_plain_line_and_is_counted() {
    // No sample has seven services.
    let wording = wording(Vec::new(), Some("{{ 10 // ((services or 0) - 7) }} {{ scope }}"));
    let failures = || wording.telemetry.wording_failures.with_label_values(&["summary"]).get();
    let summary =
        |services| wording.annotations(&interruption("x", services, Cause::Unknown), None)["summary"].clone();
    assert_eq!((summary(8), failures()), ("10 x".to_owned(), 0));
    assert_eq!((summary(7), failures()), ("ServiceInterruption: x (first[1])".to_owned(), 1));
}
