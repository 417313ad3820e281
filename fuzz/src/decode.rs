//! Events of anybody's making: what is taken is read back as the same.

use std::sync::Arc;

use fournines::ingest::decode::{Decoded, Gate, Layout};
use fournines::model::time::{Instant, Span};

/// Rejections of one body that are listed, by the contract.
const LISTED_MAX: usize = 100;

/// Reads `data` as a body in both layouts. What live reading takes, the journal gives back: the same events, all of them.
pub fn decode(data: &[u8]) {
    let source: Arc<str> = "fuzz".into();
    let now = Instant::from_micros(1_800_000_000_000_000);
    let live = Gate::at(now, Span::from_mins(5), None, source.clone());
    let past = Gate::past(source);
    for layout in [Layout::Json, Layout::Lines] {
        let all = fournines::ingest::decode::decode(layout, data, &past);
        let taken = fournines::ingest::decode::decode(layout, data, &live);
        holds_together(&all);
        holds_together(&taken);
        assert!(taken.events.len() <= all.events.len(), "the gate lets in what is no event");
        for event in &taken.events {
            assert!(event.time <= now.plus(Span::from_mins(5)), "{event:?} is of the future");
        }
        let again = fournines::ingest::decode::decode(Layout::Lines, &taken.lines, &past);
        assert_eq!(again.rejected, [], "what was taken is not read back");
        assert_eq!(again.events, taken.events, "it is read back as something else");
    }
}

fn holds_together(decoded: &Decoded) {
    let lines = decoded.lines.split_inclusive(|&b| b == b'\n').count();
    assert_eq!(lines, decoded.events.len(), "there are not as many lines as events");
    let listed = usize::try_from(decoded.rejected_total).unwrap_or(LISTED_MAX).min(LISTED_MAX);
    assert_eq!(decoded.rejected.len(), listed, "not every rejection is listed, or more than may be");
    let numbers = decoded.rejected.iter().map(|rejection| rejection.line);
    assert!(
        numbers.clone().zip(numbers.skip(1)).all(|(one, next)| one < next),
        "out of order: {:?}",
        decoded.rejected
    );
    assert!(decoded.rejected.iter().all(|rejection| rejection.line > 0 && !rejection.error.is_empty()));
    assert!(!decoded.is_unreadable() || decoded.events.is_empty(), "something was read after all");
}
