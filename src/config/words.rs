//! What alerts say, and where they lead: the language, templates of the user's own, runbooks. Templates are tried on a
//! sample of every kind of alert, so that what is wrong in one is known before anything happens.

use super::reader::Reader;
use crate::model::alert::{AlertKey, AlertName, IncidentFacts};
use crate::model::calendar::Calendar;
use crate::model::event::Cause;
use crate::words::{Language, Text, Words};

/// What alerts say, and where they lead.
#[derive(Clone, Debug)]
pub struct Texts {
    /// The templates.
    pub words: Words,
    /// The runbook of what no rule of `runbooks` fits; `{base_url}` and `{alertname}` in it are filled in.
    pub runbook_url: Option<String>,
    /// Runbooks of their own, the first that fits.
    pub runbooks: Vec<Runbook>,
}

/// A runbook, and the alerts that it is for: all that is named must fit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Runbook {
    /// A service's name, or how it begins with `*` behind.
    pub service: Option<String>,
    /// A group of the catalogue, or the group that the alert is about.
    pub group: Option<String>,
    /// What the incident came from.
    pub cause: Option<Cause>,
    /// Which alert.
    pub alertname: Option<AlertName>,
    /// Where it is; `{base_url}` and `{alertname}` in it are filled in.
    pub url: String,
}

impl Runbook {
    /// Whether it is for that alert.
    #[must_use]
    pub fn fits(&self, key: &AlertKey, facts: Option<&IncidentFacts>) -> bool {
        let of_service = |pattern: &String| match (key.service(), pattern.strip_suffix('*')) {
            (Some(service), Some(prefix)) => service.starts_with(prefix),
            (Some(service), None) => service == pattern,
            (None, _) => false,
        };
        let of_group = |group: &String| {
            key.group() == Some(group) || facts.is_some_and(|facts| facts.groups.iter().any(|of| **of == **group))
        };
        self.service.as_ref().is_none_or(of_service)
            && self.group.as_ref().is_none_or(of_group)
            && self.cause.is_none_or(|cause| facts.is_some_and(|facts| facts.cause == cause))
            && self.alertname.is_none_or(|name| name == key.name)
    }
}

/// Reads all of it.
pub(super) fn read(reader: &mut Reader) -> Texts {
    let languages = [("en", Language::English), ("zh", Language::Chinese)];
    let language = one_of(reader, "alerting.language", &languages).unwrap_or_default();
    // A zone that there is not is told where the zone is read.
    let calendar = Calendar::new(&reader.text("time_zone").unwrap_or_default()).unwrap_or_default();
    let own = Text::ALL.map(|text| (text, reader.text(&key_of(text))));
    let own: Vec<(Text, String)> = own.into_iter().filter_map(|(text, source)| Some((text, source?))).collect();
    let words = Words::new(language, calendar.clone(), &own).or_else(|mistakes| {
        for (text, problem) in mistakes {
            let remedy = "see [alerting.templates] in `fournines check --print-defaults`";
            reader.wrong(&key_of(text), format!("{problem}; {remedy}"));
        }
        Words::new(language, calendar, &[])
    });
    let words = words.unwrap_or_else(|_| Words::plain(language));
    let runbook_url = reader.text("alerting.runbook_url");
    if let Some(url) = &runbook_url {
        check_url(reader, "alerting.runbook_url", url);
    }
    Texts { words, runbook_url, runbooks: runbooks(reader) }
}

fn key_of(text: Text) -> String {
    format!("alerting.templates.{}", text.name())
}

fn runbooks(reader: &mut Reader) -> Vec<Runbook> {
    let names = AlertName::ALL.map(|name| (name.name(), name));
    let causes = Cause::ALL.map(|cause| (cause.name(), cause));
    let mut all = Vec::new();
    for index in 0..reader.tables("alerting.runbooks") {
        let key = format!("alerting.runbooks[{index}]");
        let at = |name: &str| format!("{key}.{name}");
        let service = reader.text(&at("service"));
        if service.as_ref().is_some_and(|pattern| pattern.trim_end_matches('*').contains('*')) {
            reader.wrong(&at("service"), "a `*` stands at the end only, such as \"core/*\"");
        }
        let group = reader.text(&at("group"));
        let says_more = reader.has(&at("cause")) || reader.has(&at("alertname"));
        let cause = one_of(reader, &at("cause"), &causes);
        let alertname = one_of(reader, &at("alertname"), &names);
        let url = reader.text(&at("url")).unwrap_or_default();
        if service.is_none() && group.is_none() && !says_more {
            reader.wrong(
                &key,
                "say for what: some of service, group, cause and alertname; for all, alerting.runbook_url",
            );
        }
        if url.is_empty() {
            reader.wrong(&key, "say where it is: url = \"https://…\"");
        } else {
            check_url(reader, &at("url"), &url);
        }
        all.push(Runbook { service, group, cause, alertname, url });
    }
    all
}

fn check_url(reader: &mut Reader, key: &str, url: &str) {
    if !["http://", "https://", "{base_url}"].iter().any(|start| url.starts_with(start)) {
        reader.wrong(key, format!("{url:?} is not like \"https://wiki.example.net/{{alertname}}\""));
    }
    let rest = url.replace("{base_url}", "").replace("{alertname}", "");
    if rest.contains(['{', '}']) {
        reader.wrong(key, format!("{url:?}: only {{base_url}} and {{alertname}} are filled in"));
    }
}

/// The value of a key that has a few names only.
fn one_of<T: Copy>(reader: &mut Reader, key: &str, choices: &[(&str, T)]) -> Option<T> {
    let text = reader.text(key)?;
    let found = choices.iter().find(|(name, _)| *name == text).map(|&(_, value)| value);
    if found.is_none() {
        let names: Vec<String> = choices.iter().map(|(name, _)| format!("{name:?}")).collect();
        reader.wrong(key, format!("{text:?} is none of {}", names.join(", ")));
    }
    found
}
