//! What makes several outages one incident, as TOML and back.

use super::reader::Reader;
use crate::model::policy::Correlation;

/// Reads it; what is not said is as built in, as in a record of before there was a window.
pub(super) fn read(reader: &mut Reader) -> Correlation {
    let plain = Correlation::default();
    let siblings = reader.take("correlation.siblings", "a whole number").unwrap_or(plain.siblings);
    if siblings < 2 {
        reader.wrong(
            "correlation.siblings",
            format!("{siblings} is too few: one child that is down says nothing of its parent"),
        );
    }
    Correlation {
        reopen: reader.parse("correlation.reopen").unwrap_or(plain.reopen),
        window: reader.parse("correlation.window").unwrap_or(plain.window),
        siblings,
    }
}

/// It as TOML that [`read`] reads.
pub(super) fn write(correlation: &Correlation) -> String {
    let Correlation { reopen, window, siblings } = correlation;
    format!("[correlation]\nreopen = \"{reopen}\"\nwindow = \"{window}\"\nsiblings = {siblings}\n\n")
}
