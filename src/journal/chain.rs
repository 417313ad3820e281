//! The chain: each batch carries a SHA-256 of itself and of the link before it, so that nothing in the middle can be
//! changed, taken out or put in without every link after it telling (R118).

use ring::digest::{Context, SHA256, SHA256_OUTPUT_LEN};
use rusqlite::{Connection, TransactionBehavior, params};

use super::{Batch, Kind};
use crate::model::time::Instant;

/// One link.
pub(super) type Link = [u8; SHA256_OUTPUT_LEN];

/// What the first batch is chained to.
pub(super) const BEGINNING: Link = [0; SHA256_OUTPUT_LEN];

/// The link of a batch.
pub(super) fn link(before: &Link, sequence: u64, received: Instant, batch: &Batch) -> Link {
    let mut context = Context::new(&SHA256);
    context.update(before);
    for number in [sequence.cast_signed(), received.as_micros(), batch.kind.code(), batch.events.cast_signed()] {
        context.update(&number.to_le_bytes());
    }
    // Lengths first, so that no two batches are written alike.
    for part in [Some(batch.source.as_bytes()), batch.key.as_deref().map(str::as_bytes), Some(&batch.payload)] {
        context.update(&part.map_or(u64::MAX, |part| part.len() as u64).to_le_bytes());
        context.update(part.unwrap_or_default());
    }
    let mut link = BEGINNING;
    link.copy_from_slice(context.finish().as_ref());
    link
}

/// A link as people note it.
pub(super) fn shown(link: &Link) -> String {
    link.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Chains the batches of a log that has no chain yet.
pub(super) fn add(connection: &mut Connection, layout: i64) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch("ALTER TABLE batches ADD COLUMN chain BLOB")?;
    {
        let mut select = transaction.prepare(
            "SELECT sequence, received, kind, source, key, events, payload FROM batches ORDER BY sequence",
        )?;
        let mut update = transaction.prepare("UPDATE batches SET chain = ?2 WHERE sequence = ?1")?;
        let mut rows = select.query([])?;
        let mut last = BEGINNING;
        while let Some(row) = rows.next()? {
            let sequence: i64 = row.get(0)?;
            let batch = Batch {
                // One of a kind that nobody knows is refused when it is read.
                kind: Kind::from_code(row.get(2)?).unwrap_or(Kind::Events),
                source: row.get::<_, String>(3)?.into(),
                key: row.get::<_, Option<String>>(4)?.map(Into::into),
                events: row.get::<_, i64>(5)?.unsigned_abs(),
                payload: row.get(6)?,
            };
            last = link(&last, sequence.unsigned_abs(), Instant::from_micros(row.get(1)?), &batch);
            update.execute(params![sequence, last])?;
        }
    }
    transaction.pragma_update(None, "user_version", layout)?;
    transaction.commit()
}
