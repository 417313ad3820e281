//! Tests of `settings.rs`.

use super::*;
use crate::config::{from_record, to_record};
use crate::model::incident::Stage;
use crate::model::level::{Condition, Level};
use crate::model::procedure::{ClockRule, Milestone, Until};
use crate::model::target::{Subject, Value};

fn load(toml: &str, environment: &[(&str, &str)]) -> Result<Settings, Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("fournines.toml");
    std::fs::write(&file, toml).unwrap();
    let environment = environment.iter().map(|&(n, v)| (n.to_owned(), v.to_owned())).collect();
    Settings::load(&Sources { file: Some(file), catalog: None, environment }).map_err(|mistakes| {
        let folder = format!("{}/", folder.path().display());
        mistakes.0.iter().map(|mistake| mistake.to_string().replace(&folder, "")).collect()
    })
}

#[test]
fn with_nothing_said_it_runs() {
    let settings = load("", &[]).unwrap();
    assert_eq!(settings.server.listen.to_string(), "127.0.0.1:9940");
    assert_eq!(settings.policy.targets.base.len(), 16);
    assert_eq!(settings.policy.levels.of(Level::First).len(), 8);
    assert_eq!(settings.policy.correlation.reopen, Span::from_mins(10));
}

#[test]
fn every_mistake_is_told_at_once_with_file_line_and_key() {
    let mistakes = load(
        "time_zone = \"Mars/Olympus\"\n[server]\nlistn = \"127.0.0.1:1\"\nmax_body_bytes = \"big\"\n\n[[levels.first]]\nusers_ovr = 3\n[targets]\nrepair = \"4\"\navailability = 99.99\n[[alerting.alertmanagers]]\nurl = \"am:9093\"\n",
        &[("FOURNINES__CORRELATION__REOPEN", "soon"), ("FOURNINES__STORAGE__PAHT", "/x")],
    )
    .unwrap_err();
    let expected = [
        "fournines.toml:4: server.max_body_bytes: \"big\" is not a whole number of bytes",
        "fournines.toml:6: levels.first[0]: has no condition, so that every interruption would be of the first level",
        "fournines.toml:9: targets.repair: `4` is not a duration such as `90s`, `30m` or `4h`",
        "fournines.toml:10: targets.availability: 99.99 is not from 0 to 1 (99.99 % is 0.9999)",
        "environment variable FOURNINES__CORRELATION__REOPEN: correlation.reopen: `soon` is not a duration such as `90s`, `30m` or `4h`",
        "fournines.toml:1: time_zone: there is no time zone \"Mars/Olympus\"; write one like \"Asia/Shanghai\" or \"UTC\"",
        "fournines.toml:12: alerting.alertmanagers[0].url: \"am:9093\" is not like \"http://127.0.0.1:9093\"",
        "fournines.toml:7: levels.first[0].users_ovr: unknown key; did you mean `levels.first[0].users_over`?",
        "fournines.toml:3: server.listn: unknown key; did you mean `server.listen`?",
        "environment variable FOURNINES__STORAGE__PAHT: storage.paht: unknown key; did you mean `storage.path`?",
    ];
    assert_eq!(mistakes, expected);
}

#[test]
fn the_journal_is_kept_for_ever_unless_somebody_says_otherwise() {
    let keep =
        |toml: &str| load(toml, &[]).map(|settings| (settings.storage.keep_for, settings.storage.keep_bytes));
    assert_eq!(keep(""), Ok((None, None)));
    let said = keep("[storage]\nkeep_for = \"800d\"\nkeep_bytes = 5000000000");
    assert_eq!(said, Ok((Some(Span::from_hours(800 * 24)), Some(5_000_000_000))));
    let mistakes = keep("[storage]\nkeep_for = \"0s\"\nkeep_bytes = \"5 GB\"").unwrap_err();
    assert_eq!(
        mistakes,
        [
            "fournines.toml:3: storage.keep_bytes: \"5 GB\" is not a whole number of bytes",
            "fournines.toml:2: storage.keep_for: is nothing"
        ]
    );
}

#[test]
fn broken_toml_names_its_line() {
    let mistakes = load("[server]\nlisten = \n", &[]).unwrap_err();
    assert_eq!(mistakes.len(), 1);
    assert!(mistakes[0].starts_with("fournines.toml:2: "), "{mistakes:?}");
}

#[test]
fn another_address_needs_to_be_meant() {
    let mistakes = load("[server]\nlisten = \"0.0.0.0:9940\"\n", &[]).unwrap_err();
    assert!(mistakes[0].contains("access.open = true"), "{mistakes:?}");
    assert!(load("[server]\nlisten = \"0.0.0.0:9940\"\n[access]\nopen = true\n", &[]).is_ok());
    let opened = [("FOURNINES__SERVER__LISTEN", "0.0.0.0:9940"), ("FOURNINES__ACCESS__OPEN", "true")];
    assert!(load("", &opened).is_ok());
}

#[test]
fn a_rule_replaces_those_of_its_level_only() {
    let settings = load("[[levels.first]]\nusers_at_least = 5\nlonger_than = \"1m\"\ncite = \"x\"\n", &[]).unwrap();
    let first = settings.policy.levels.of(Level::First);
    assert_eq!(first.len(), 1);
    assert_eq!(first[0].conditions, [Condition::UsersAtLeast(5), Condition::LongerThan(Span::from_mins(1))]);
    assert_eq!(settings.policy.levels.of(Level::Second).len(), 5);
}

#[test]
fn the_last_override_that_concerns_a_service_holds() {
    let settings = load(
        "[targets]\nrepair = \"3h\"\nrequest.acceptance = \"5m\"\n[[targets.override]]\ntier = \"gold\"\nrepair = \"2h\"\n[[targets.override]]\nservice = \"a\"\nrepair = \"1h\"\n",
        &[],
    )
    .unwrap();
    let of = |target: &str, service: &str, tier: &str| {
        settings.policy.targets.of(target, &Subject { service, tier, in_group: &|_| false })
    };
    assert_eq!(of("repair", "a", "gold"), Some(Value::Limit(Span::from_hours(1))));
    assert_eq!(of("repair", "b", "gold"), Some(Value::Limit(Span::from_hours(2))));
    assert_eq!(of("repair", "c", ""), Some(Value::Limit(Span::from_hours(3))));
    assert_eq!(of("request.acceptance", "c", "gold"), Some(Value::Limit(Span::from_mins(5))));
}

#[test]
fn a_catalogue_is_read_and_its_mistakes_named() {
    let good = "id,users,groups,depends_on,since\na,10,x;y,,2026-01-01T00:00:00Z\nb,,,a,\n";
    let services = catalog::read_catalog("services.csv", good).unwrap();
    assert_eq!(services[0].1.groups, ["x", "y"]);
    assert_eq!(services[1].1.depends_on, ["a"]);
    assert_eq!(catalog::read_catalog("services.csv", &catalog::write_catalog(&services)).unwrap(), services);
    // However many there are.
    let many: Vec<_> = services.iter().cycle().take(2_500).cloned().collect();
    let lines = catalog::write_catalog(&many);
    assert_eq!((lines.lines().count(), lines.lines().nth(2_000)), (2_501, Some("b,,,,,,,a,,")));
    let bad = "id,users,grops,depends_on\na,ten,,\na,1,,\nb c,1,,\nd,1,,nobody\ne,1\n";
    let mistakes = catalog::read_catalog("services.csv", bad).unwrap_err();
    let lines: Vec<String> = mistakes.0.iter().map(|m| format!("{}: {}", m.place, m.key)).collect();
    let expected = ["services.csv:1: grops", "services.csv:2: users", "services.csv:3: id", "services.csv:4: id"];
    assert_eq!(lines[..4], expected);
    assert_eq!(lines[4..], ["services.csv:6: ", "services.csv:5: depends_on"]);
}

#[test]
fn promises_that_make_no_sense_are_refused() {
    let refused = |text: &str| load(text, &[]).unwrap_err().join("\n");
    for (text, because) in [
        ("[targets]\nmaintenance = \"forget\"\n", "is none of exclude, count_as_up, ignore"),
        ("[targets]\nbudget_window = \"2d\"\n", "is none of 1h, 24h, 7d, 30d, 90d"),
        ("[targets]\nlatency.limit = \"1s\"\n", "say both"),
        ("[targets]\ndegraded_weight = 3\n", "is not from 0 to 1"),
        ("[[targets.measurement]]\nmetric = \"x\"\n", "exactly one of over and under"),
        ("[[targets.measurement]]\nmetric = \"x\"\nover = 1\nclear = 2\n", "lies beyond the limit 1 itself"),
        ("[[sources.feed]]\nsource = \"x\"\n", "how long it may be silent"),
        ("time_zone = \"Asia/Peking\"\n", "there is no time zone"),
    ] {
        assert!(refused(text).contains(because), "{text}: {}", refused(text));
    }
}

#[test]
fn a_policy_survives_its_record() {
    let text = "time_zone = \"Europe/Berlin\"\n[targets]\nmaintenance = \"ignore\"\ndegraded_weight = 0.3\n\
        budget_window = \"7d\"\nrisk_horizon = \"90s\"\neffective_from = \"2026-12-01T00:00:00+08:00\"\n\
        latency.limit = \"100ms\"\nlatency.ratio = 0.95\n[[targets.measurement]]\nmetric = \"loss\"\nover = 0.01\n\
        [[targets.measurement]]\nmetric = \"light\"\nunder = -28.0\nclear = -27.5\n[[targets.override]]\n\
        group = \"gold\"\navailability = 0.99995\nmaintenance = \"count_as_up\"\nlatency.limit = \"50ms\"\n\
        latency.ratio = 0.9\n[[sources.feed]]\nsource = \"nms\"\nheartbeat = \"5m\"\ngroup = \"tier:gold\"\n";
    let mut policy = load(text, &[]).unwrap().policy;
    policy.services = catalog::read_catalog("x", "id,users,name\na,1,\"Büro, \"\"Nord\"\"\"\n").unwrap();
    let record = to_record(&policy);
    assert_eq!(from_record(&record).unwrap(), policy);
    assert_eq!(to_record(&from_record(&record).unwrap()), record);
}

#[test]
fn a_stage_without_owner_limit_or_criterion_is_refused() {
    let mistakes = load(
        "[stages.dispatched]\nfrom = \"noon\"\n[stages.restored]\nowner = \"\"\nwarn_at = [1.5]\n[reporting]\nregulators = [\"uk\"]\n[[reporting.notice]]\nname = \"own\"\n",
        &[],
    )
    .unwrap_err();
    let expected = [
        "fournines.toml:1: stages.dispatched.owner: nobody answers for this stage: say who does, such as owner = \"field service\"",
        "fournines.toml:1: stages.dispatched.done_when: nothing says when this stage is done: say so in a line",
        "fournines.toml:2: stages.dispatched.from: \"noon\" is none of started, detected, acknowledged, dispatched, located, mitigated, repaired, restored, verified, reviewed",
        "fournines.toml:1: stages.dispatched.limit: nothing says by when this stage is due: say limit = \"2h\", or limit.first = \"1h\" and so on for some levels",
        "fournines.toml:4: stages.restored.owner: nobody answers for this stage: say who does, such as owner = \"field service\"",
        "fournines.toml:5: stages.restored.warn_at: 1.5 is not a share of the limit between 0 and 1",
        "fournines.toml:8: reporting.notice[0].limit: nothing says by when it is due: say limit = \"24h\"",
        "fournines.toml:7: reporting.regulators: \"uk\" is none of cn, us-fcc, eu, au",
    ];
    assert_eq!(mistakes, expected);
}

#[test]
fn a_record_of_the_policy_has_all_of_the_procedure() {
    let said = "[stages.dispatched]\nowner = \"field\"\ndone_when = \"on the way\"\nlimit.first = \"20m\"\nwarn_at = [0.07, 0.9]\n[reporting]\nregulators = [\"cn\", \"us-fcc\", \"eu\", \"au\"]\n";
    let policy = load(said, &[]).unwrap().policy;
    assert_eq!(policy.procedure.clocks.len(), 19);
    let lag = "[stages.detected]\nowner = \"noc\"\ndone_when = \"it is known\"\nlimit = \"5m\"\n";
    let lag = load(lag, &[]).unwrap().policy.procedure;
    let detected = |rule: &&ClockRule| rule.until == Until::Reached(Stage::Detected);
    assert_eq!(lag.clocks.iter().find(detected).unwrap().from, Milestone::Started);
    assert!(policy.procedure.clocks.iter().all(|rule| rule.until != Until::Notice || !rule.cite.is_empty()));
    let read = from_record(&to_record(&policy)).unwrap();
    assert_eq!(read.procedure, policy.procedure);
}

#[test]
fn mistakes_in_what_alerts_say_are_told_with_the_remedy() {
    let mistakes = load(
        "[server]\nexternal_url = \"nines.example.net\"\n[alerting]\nlanguage = \"fr\"\nrunbook_url = \"https://w/{name}\"\n[alerting.templates]\nsummary = \"{{ scop }}\"\ndescription = \"{% if %}\"\n[[alerting.runbooks]]\nurl = \"wiki\"\n[[alerting.runbooks]]\nservice = \"a*b\"\ncause = \"moles\"\nalertname = \"Nothing\"\n",
        &[],
    )
    .unwrap_err();
    let expected = [
        "fournines.toml:2: server.external_url: \"nines.example.net\" is not like \"https://fournines.example.net\"",
        "fournines.toml:4: alerting.language: \"fr\" is none of \"en\", \"zh\"",
        "fournines.toml:8: alerting.templates.description: line 1: syntax error: ",
        "fournines.toml:7: alerting.templates.summary: there is no variable `scop`; there are acknowledged, ",
        "fournines.toml:5: alerting.runbook_url: \"https://w/{name}\": only {base_url} and {alertname} are filled in",
        "fournines.toml:9: alerting.runbooks[0]: say for what: some of service, group, cause and alertname",
        "fournines.toml:10: alerting.runbooks[0].url: \"wiki\" is not like",
        "fournines.toml:12: alerting.runbooks[1].service: a `*` stands at the end only",
        "fournines.toml:13: alerting.runbooks[1].cause: \"moles\" is none of \"unknown\", ",
        "fournines.toml:14: alerting.runbooks[1].alertname: \"Nothing\" is none of \"ServiceInterruption\", ",
        "fournines.toml:11: alerting.runbooks[1]: say where it is",
    ];
    assert_eq!(mistakes.len(), expected.len(), "{mistakes:#?}");
    for (found, expected) in mistakes.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found}, not {expected}");
    }
    assert!(mistakes[2].ends_with("see [alerting.templates] in `fournines check --print-defaults`"));
    let settings = load("[server]\nexternal_url = \"https://n.example.net/nines/\"\n", &[]).unwrap();
    assert_eq!(settings.server.external_url.as_deref(), Some("https://n.example.net/nines"));
    assert_eq!(settings.alerting.texts.runbook_url.as_deref(), Some("{base_url}/runbooks/{alertname}"));
}
