//! The annotations of an alert: what it says, and where it leads. No alert is ever held up by its words.

use std::collections::BTreeMap;

use crate::config::Texts;
use crate::model::alert::{Alert, AlertKey};
use crate::model::time::Instant;
use crate::telemetry::Telemetry;
use crate::words::Text;

/// What alerts say besides their labels.
#[derive(Clone, Debug)]
pub struct Wording {
    /// The templates, and where the runbooks are.
    pub texts: Texts,
    /// Where people reach this daemon, for links back.
    pub base_url: String,
    /// Counts texts that could not be made.
    pub telemetry: Telemetry,
}

impl Wording {
    /// The annotations of an alert, `ended` when it is over.
    pub(super) fn annotations(&self, alert: &Alert, ended: Option<Instant>) -> BTreeMap<&'static str, String> {
        let mut all: BTreeMap<_, _> =
            Text::ALL.map(|text| (text.name(), self.say(text, alert, ended))).into_iter().collect();
        let facts = alert.facts.incident.as_ref();
        all.insert("started", alert.facts.started.to_string());
        all.extend(facts.and_then(|facts| facts.users).map(|users| ("users", users.to_string())));
        let own = self.texts.runbooks.iter().find(|runbook| runbook.fits(&alert.key, facts));
        let runbook = own.map(|runbook| &runbook.url).or(self.texts.runbook_url.as_ref());
        all.extend(runbook.map(|url| ("runbook_url", self.filled(url, alert.key.name.name()))));
        let incident = alert.key.incident().map_or_else(String::new, |id| format!("?incident={id}"));
        all.insert("board_url", format!("{}/{incident}", self.base_url));
        all
    }

    /// The annotations of the alert that always fires.
    pub(super) fn alive(&self) -> BTreeMap<&'static str, String> {
        let mut all = BTreeMap::from([
            (Text::Summary.name(), self.texts.words.alive().to_owned()),
            ("board_url", format!("{}/", self.base_url)),
        ]);
        let runbook = self.texts.runbook_url.as_ref();
        all.extend(runbook.map(|url| ("runbook_url", self.filled(url, "Watchdog"))));
        all
    }

    /// Where to read more of what an alert is about.
    pub(super) fn generator_url(&self, key: &AlertKey) -> String {
        let base = &self.base_url;
        match (key.incident(), key.group(), key.service()) {
            (Some(incident), ..) => format!("{base}/api/v1/incidents/{incident}"),
            (None, Some(group), _) => format!("{base}/api/v1/services?group={}", encoded(group)),
            (None, None, Some(service)) => format!("{base}/api/v1/services/{}", encoded(service)),
            (None, None, None) => self.generator_url_of_daemon(),
        }
    }

    /// Where to read more of the daemon itself.
    pub(super) fn generator_url_of_daemon(&self) -> String {
        format!("{}/api/v1/status", self.base_url)
    }

    /// The text, or a plain line where the user's template fails for this alert.
    fn say(&self, text: Text, alert: &Alert, ended: Option<Instant>) -> String {
        self.texts.words.say(text, alert, ended).unwrap_or_else(|error| {
            self.telemetry.wording_failures.with_label_values(&[text.name()]).inc();
            let alertname = alert.key.name.name();
            tracing::warn!(template = text.name(), alertname, error, "a template failed; the alert says less");
            let drill = if alert.key.drill().is_some() { "DRILL: " } else { "" };
            format!("{drill}{alertname}: {} ({})", alert.key.scope(), alert.facts.because)
        })
    }

    fn filled(&self, url: &str, alertname: &str) -> String {
        url.replace("{base_url}", &self.base_url).replace("{alertname}", alertname)
    }
}

fn encoded(name: &str) -> percent_encoding::PercentEncode<'_> {
    percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC)
}

#[cfg(test)]
mod tests;
