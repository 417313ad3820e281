//! `[alerting]`: whom the daemon tells, how it reaches them, and what may wait.

use std::fmt;
use std::path::Path;

use super::reader::Reader;
use super::settings::{choice, positive};
use crate::model::time::Span;

/// Whom it tells.
#[derive(Clone, Debug)]
pub struct Alerting {
    /// The language of the alerts' text.
    pub language: Language,
    /// How often a firing alert is sent again to an Alertmanager.
    pub resend_interval: Span,
    /// Where the runbooks are.
    pub runbook_url: Option<String>,
    /// What damps pages; never what is accounted.
    pub damping: Damping,
    /// The comment of a silence in Alertmanager that acknowledges begins with this.
    pub acknowledge_by_silence: Option<String>,
    /// Everybody who is told.
    pub receivers: Vec<Receiver>,
}

/// The language of the alerts' text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// English.
    English,
    /// Chinese.
    Chinese,
}

/// What damps pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Damping {
    /// An alert fires for so long before anybody is paged.
    pub confirm: Span,
    /// After an alert is over, the next one of the same thing waits until so long after.
    pub hold_down: Span,
    /// An acknowledgement counts for so long; none: for as long as the incident.
    pub acknowledgement_expires: Option<Span>,
}

/// Somebody who is told.
#[derive(Clone, Debug)]
pub struct Receiver {
    /// What it is called in metrics, logs and lists: an Alertmanager's URL, a webhook's name.
    pub name: String,
    /// How it is spoken to.
    pub kind: ReceiverKind,
    /// How it is reached.
    pub access: Access,
    /// Labels that an alert must have to be its business, each with the values that will do.
    pub matches: Vec<(String, Vec<String>)>,
    /// It is told of an interruption that nobody has acknowledged for so long; none: at once.
    pub unacknowledged_for: Option<Span>,
    /// So many pages in any hour, those of the first level not withheld; none: as many as there are.
    pub pages_per_hour: Option<usize>,
}

/// How a receiver is spoken to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReceiverKind {
    /// As Alertmanager's API v2 wants it: what fires is told again and again.
    Alertmanager,
    /// As Standard Webhooks say: each message once, signed if there is a secret.
    Webhook {
        /// The key of the signature.
        secret: Option<Secret>,
    },
}

/// How a server is reached.
#[derive(Clone, Debug)]
pub struct Access {
    /// Its URL, without a slash at the end.
    pub url: String,
    /// Who we say we are.
    pub credentials: Option<Credentials>,
    /// The certificates that it may be vouched for by, in PEM; none: those of the system.
    pub authorities: Option<Vec<u8>>,
    /// Our own certificate and its key, in PEM.
    pub identity: Option<Secret>,
}

/// Who we say we are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// A name and a password.
    Basic(String, Secret),
    /// A token.
    Bearer(Secret),
}

/// Something that is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub Vec<u8>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

impl Secret {
    /// It as text; what is no text is replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0).trim().to_owned()
    }
}

/// The labels that a receiver's `match` may name.
const LABELS: [&str; 15] = [
    "alertname",
    "level",
    "severity",
    "scope",
    "region",
    "group",
    "service",
    "cause",
    "clock",
    "metric",
    "window",
    "speed",
    "input",
    "used",
    "drill",
];

/// Reads the section. A file that is named is looked for beside the configuration.
pub(super) fn read(reader: &mut Reader, beside: &Path) -> Alerting {
    let expires = reader.parse::<Span>("alerting.acknowledgement_expires");
    if expires.is_some_and(|span| span <= Span::ZERO) {
        reader.wrong("alerting.acknowledgement_expires", "is nothing; leave it empty if it never expires");
    }
    let mut receivers = Vec::new();
    for index in 0..reader.tables("alerting.alertmanagers") {
        let key = format!("alerting.alertmanagers[{index}]");
        let access = access(reader, &key, beside, "http://127.0.0.1:9093");
        receivers.push(Receiver {
            name: access.url.clone(),
            kind: ReceiverKind::Alertmanager,
            access,
            matches: Vec::new(),
            unacknowledged_for: None,
            pages_per_hour: pages_per_hour(reader, &key),
        });
    }
    for index in 0..reader.tables("alerting.webhooks") {
        let key = format!("alerting.webhooks[{index}]");
        let named = reader.text(&format!("{key}.name"));
        if named.is_none() {
            reader.wrong(&format!("{key}.name"), "say what it is called, such as name = \"on-call\"");
        }
        let wait = reader.parse::<Span>(&format!("{key}.unacknowledged_for"));
        receivers.push(Receiver {
            name: named.unwrap_or_default(),
            kind: ReceiverKind::Webhook { secret: secret(reader, &key, beside) },
            access: access(reader, &key, beside, "https://chat.example.net/hooks/noc"),
            matches: matches(reader, &key),
            unacknowledged_for: wait.filter(|wait| *wait > Span::ZERO),
            pages_per_hour: pages_per_hour(reader, &key),
        });
    }
    for (place, receiver) in receivers.iter().enumerate() {
        if !receiver.name.is_empty() && receivers[..place].iter().any(|other| other.name == receiver.name) {
            reader.wrong("alerting", format!("two receivers are called {:?}", receiver.name));
        }
    }
    Alerting {
        language: choice(reader, "alerting.language", &[("en", Language::English), ("zh", Language::Chinese)]),
        resend_interval: positive(reader, "alerting.resend_interval"),
        runbook_url: reader.text("alerting.runbook_url"),
        damping: Damping {
            confirm: reader.parse("alerting.confirm").unwrap_or_default(),
            hold_down: reader.parse("alerting.hold_down").unwrap_or_default(),
            acknowledgement_expires: expires,
        },
        acknowledge_by_silence: reader.text("alerting.acknowledge_by_silence"),
        receivers,
    }
}

fn access(reader: &mut Reader, key: &str, beside: &Path, like: &str) -> Access {
    let at = |name: &str| format!("{key}.{name}");
    let url = match reader.text(&at("url")) {
        Some(url) if url.starts_with("http://") || url.starts_with("https://") => {
            url.trim_end_matches('/').to_owned()
        }
        Some(url) => {
            reader.wrong(&at("url"), format!("{url:?} is not like {like:?}"));
            String::new()
        }
        None => {
            reader.wrong(&at("url"), format!("say where it is, such as {like:?}"));
            String::new()
        }
    };
    let username = reader.text(&at("username"));
    let password = file(reader, &at("password_file"), beside);
    let token = file(reader, &at("token_file"), beside);
    let credentials = match (username, password, token) {
        (None, None, None) => None,
        (Some(name), Some(password), None) => Some(Credentials::Basic(name, Secret(password))),
        (None, None, Some(token)) => Some(Credentials::Bearer(Secret(token))),
        _ => {
            reader.wrong(key, "say username and password_file, or token_file, or none of them");
            None
        }
    };
    let authorities = file(reader, &at("ca_file"), beside);
    let identity = match (file(reader, &at("cert_file"), beside), file(reader, &at("key_file"), beside)) {
        (Some(mut certificate), Some(key)) => {
            certificate.push(b'\n');
            certificate.extend(key);
            Some(Secret(certificate))
        }
        (None, None) => None,
        _ => {
            reader.wrong(key, "cert_file and key_file go together");
            None
        }
    };
    Access { url, credentials, authorities, identity }
}

/// The content of a file that a key names.
fn file(reader: &mut Reader, key: &str, beside: &Path) -> Option<Vec<u8>> {
    let path = beside.join(reader.text(key)?);
    match std::fs::read(&path) {
        Ok(content) if content.is_empty() => {
            reader.wrong(key, format!("{} is empty", path.display()));
            None
        }
        Ok(content) => Some(content),
        Err(error) => {
            reader.wrong(key, format!("{}: {error}", path.display()));
            None
        }
    }
}

/// The key of a webhook's signature: what follows `whsec_` in base64, or else the file's text as it is.
fn secret(reader: &mut Reader, key: &str, beside: &Path) -> Option<Secret> {
    use base64::Engine as _;
    let key = format!("{key}.secret_file");
    let content = Secret(file(reader, &key, beside)?).text();
    let Some(encoded) = content.strip_prefix("whsec_") else { return Some(Secret(content.into_bytes())) };
    match base64::engine::general_purpose::STANDARD.decode(encoded) {
        Ok(bytes) => Some(Secret(bytes)),
        Err(error) => {
            reader.wrong(&key, format!("what follows `whsec_` is no base64: {error}"));
            None
        }
    }
}

fn pages_per_hour(reader: &mut Reader, key: &str) -> Option<usize> {
    reader.take(&format!("{key}.pages_per_hour"), "a whole number").filter(|&pages| pages > 0)
}

/// `match = { level = "first", region = ["north", "east"] }`.
fn matches(reader: &mut Reader, key: &str) -> Vec<(String, Vec<String>)> {
    let mut matches = Vec::new();
    for label in LABELS {
        let key = format!("{key}.match.{label}");
        if !reader.has(&key) {
            continue;
        }
        let values = if reader.is_list(&key) {
            reader.take::<Vec<String>>(&key, "a list of texts").unwrap_or_default()
        } else {
            reader.text(&key).into_iter().collect()
        };
        let known: &[&str] = match label {
            "level" => &["first", "second", "third"],
            "severity" => &["critical", "major", "warning", "page", "ticket"],
            _ => &[],
        };
        if let Some(value) = values.iter().find(|value| !known.is_empty() && !known.contains(&value.as_str())) {
            reader.wrong(&key, format!("{value:?} is none of {}", known.join(", ")));
        }
        matches.push((label.to_owned(), values));
    }
    matches
}
