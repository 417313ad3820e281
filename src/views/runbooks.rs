//! The runbooks: for every alert, what it means and what to do, served by the daemon that fires it.

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::problem::{self, Problem};

/// Names the alerts whose runbooks lie in `docs/runbooks/`.
macro_rules! runbooks {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("../../docs/runbooks/", $name, ".md")))),*]
    };
}

/// The text of each, by the alert's name.
const RUNBOOKS: [(&str, &str); 12] = runbooks![
    "ServiceInterruption",
    "ResponseOverdue",
    "RepairOverdue",
    "ClockOverdue",
    "ClockAtRisk",
    "ErrorBudgetBurn",
    "ErrorBudgetAtRisk",
    "ErrorBudgetExhausted",
    "LatencyTargetMissed",
    "MeasurementOutOfRange",
    "SourceSilent",
    "Watchdog",
];

/// What to do about an alert
#[utoipa::path(
    get, path = "/runbooks/{alertname}", tag = "operation",
    params(("alertname" = String, Path, description = "The alert's name, such as ServiceInterruption.")),
    responses(
        (status = 200, description = "What it means and what to do, in Markdown.", body = String),
        (status = 400, response = problem::BadRequest),
        (status = 404, response = problem::NotFound),
    )
)]
pub async fn runbook(name: Result<Path<String>, PathRejection>) -> Result<Response, Problem> {
    let Path(name) = name?;
    match RUNBOOKS.iter().find(|(of, _)| *of == name) {
        // Browsers show plain text, and save Markdown.
        Some((_, text)) => Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], *text).into_response()),
        None => {
            let names: Vec<&str> = RUNBOOKS.iter().map(|(name, _)| *name).collect();
            let detail = format!("there is no runbook of {name:?}; there are {}", names.join(", "));
            Err(Problem::new(StatusCode::NOT_FOUND, detail))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::alert::AlertName;

    #[test]
    fn every_alert_has_a_runbook() {
        let expected: Vec<&str> = AlertName::ALL.iter().map(|name| name.name()).chain(["Watchdog"]).collect();
        assert_eq!(RUNBOOKS.map(|(name, _)| name).to_vec(), expected);
        for (name, text) in RUNBOOKS {
            assert!(
                text.starts_with(&format!("# {name}\n")),
                "docs/runbooks/{name}.md does not begin with its name"
            );
        }
    }
}
