//! What the outbox shows of itself.

use super::super::decision::{Closed, Entry, Stand, Told, stand};
use super::Outbox;
use crate::config::Receiver;
use crate::model::delivery::{Deliveries, Delivery, Page, Progress, Standing, Suppressed, Why};
use crate::model::incident::IncidentId;
use crate::model::time::Instant;

impl Deliveries for Outbox {
    fn pages(&self, of: Option<IncidentId>, now: Instant) -> Vec<Page> {
        let state = self.state();
        let wanted = state.entries.values().filter(|entry| of.is_none() || entry.alert.key.incident() == of);
        wanted
            .map(|entry| {
                let each = self.receivers().iter().zip(&entry.told);
                let deliveries = each.filter_map(|each| self.delivery(entry, each, now)).collect();
                let ended = entry.over.map(|over| over.ended);
                Page { id: entry.page(), alert: (*entry.alert).clone(), ended, deliveries }
            })
            .collect()
    }

    fn suppressed(&self) -> Vec<Suppressed> {
        self.state().suppressed.iter().cloned().collect()
    }

    fn standing(&self) -> Vec<Standing> {
        self.state().standing.clone()
    }
}

impl Outbox {
    fn delivery(&self, entry: &Entry, (receiver, told): (&Receiver, &Told), now: Instant) -> Option<Delivery> {
        let settings = &self.shared.settings;
        let stood = stand((receiver, &settings.damping, settings.resend_interval), (entry, told), now);
        let known = told.resolved_at.map(Progress::Resolved).or(told.firing_at.map(Progress::Firing));
        let progress = match (told.closed, stood) {
            (Some(Closed::Withheld(why)), _) | (None, Stand::Withheld(why)) => Progress::Withheld(why),
            (Some(Closed::Failed), _) | (None, Stand::GivenUp) => Progress::Failed,
            (Some(Closed::Superseded), _) => known?,
            (None, Stand::Foreign) => return None,
            (None, Stand::Waits(why, until)) => Progress::Waiting(why, Some(until).filter(|&at| at < Instant::MAX)),
            (None, Stand::Due(..)) if told.crowded && !told.tried => Progress::Waiting(Why::Budget, None),
            (None, Stand::Due(..)) => match known {
                // It is merely told again.
                Some(known) if entry.over.is_none() || told.resolved_at.is_some() => known,
                _ => Progress::Pending,
            },
            (None, Stand::Knows(_) | Stand::Done) => known?,
        };
        let muted = told.muted.as_deref().cloned().unwrap_or_default();
        Some(Delivery { receiver: receiver.name.clone(), progress, answer: told.answer.clone(), muted })
    }
}
