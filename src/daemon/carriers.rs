//! The carriers of alerts: one for each receiver, and what comes back from them.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::DaemonError;
use crate::clock::Clock;
use crate::config::Alerting;
use crate::ingest::actions::{Desk, acknowledge};
use crate::notify::{Carrier, Find, Outbox, Post, Wire, Wording};
use crate::telemetry::Telemetry;

/// Services of an incident that a webhook is told by name; `service_count` says how many there are.
const TOLD_SERVICES_MAX: usize = 100;
/// Acknowledgements by silences that wait to be written down; more are seen again with the next look.
const ACKNOWLEDGEMENTS_MAX: usize = 64;

/// Sets a carrier to work for each receiver, until the token is cancelled.
pub(super) fn start(
    alerting: &Alerting,
    outbox: Outbox,
    desk: Arc<Desk>,
    clock: Clock,
    base_url: String,
    wire: Wire,
    telemetry: &Telemetry,
) -> Result<(TaskTracker, CancellationToken), DaemonError> {
    let carriers = TaskTracker::new();
    let stop_carriers = CancellationToken::new();
    let (acknowledgements, mut said) = mpsc::channel(ACKNOWLEDGEMENTS_MAX);
    let shown = desk.clone();
    let post = Post {
        outbox,
        wording: Wording { texts: alerting.texts.clone(), base_url, telemetry: telemetry.clone() },
        clock,
        acknowledgements,
        wire,
        find: Find(Arc::new(move |id| {
            let (_, mut incident) = (shown.find)(&id.to_string())?;
            // Who else is told is nobody's business outside.
            incident.as_object_mut()?.remove("pages");
            if let Some(services) = incident["services"].as_array_mut() {
                services.truncate(TOLD_SERVICES_MAX);
            }
            Some(incident)
        })),
    };
    tokio::spawn(async move {
        while let Some(said) = said.recv().await {
            if let Err(problem) = acknowledge(&desk, &said).await {
                tracing::warn!(incident = %said.incident, ?problem, "an acknowledgement could not be written down");
            }
        }
    });
    for (place, receiver) in alerting.receivers.iter().enumerate() {
        let carrier = Carrier::new(place, receiver, post.clone()).map_err(DaemonError::Build)?;
        carriers.spawn(carrier.run(stop_carriers.clone()));
    }
    carriers.close();
    Ok((carriers, stop_carriers))
}
