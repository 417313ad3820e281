//! Tables for people: columns as wide as they need to be.

use unicode_width::UnicodeWidthStr;

use crate::model::alert::{About, AlertKey, Owner};
use crate::model::figures::Figures;
use crate::model::level::Ratio;

/// Lays rows out under a heading; the first column to the left, the others to the right.
pub(super) fn table(heading: &[&str], rows: &[Vec<String>]) -> String {
    lay_out(heading, rows, |column| column == 0)
}

/// Lays rows of words out under a heading; every column to the left.
pub(super) fn list(heading: &[&str], rows: &[Vec<String>]) -> String {
    lay_out(heading, rows, |_| true)
}

fn lay_out(heading: &[&str], rows: &[Vec<String>], to_the_left: impl Fn(usize) -> bool) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.width());
        cells.chain([heading[column].width()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..heading.len()).map(width).collect();
    let heading: Vec<String> = heading.iter().map(|&cell| cell.to_owned()).collect();
    let mut text = String::new();
    for row in [&heading].into_iter().chain(rows) {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .enumerate()
            .map(|(column, (cell, &width))| {
                // A Chinese character takes two columns.
                let blanks = width.saturating_sub(cell.width());
                if to_the_left(column) { format!("{cell}{:blanks$}", "") } else { format!("{:blanks$}{cell}", "") }
            })
            .collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// What is absent.
pub(super) fn or_dash(text: Option<String>) -> String {
    text.unwrap_or_else(|| "-".to_owned())
}

/// A ratio in percent, with the digits that it has.
pub(super) fn percent(ratio: Ratio) -> String {
    format!("{}", (ratio.as_f64() * 1e9).round() / 1e7)
}

/// What is left of the error budget in percent, cut off and not rounded: nothing left is never shown for overspent.
pub(super) fn budget_percent(figures: &Figures, target: Option<Ratio>) -> Option<String> {
    let (left, budget) = figures.lengths.budget(figures.mode, target?);
    (budget > 0).then(|| {
        let tenths = (left * 1000).div_euclid(budget);
        let sign = if tenths < 0 { "-" } else { "" };
        format!("{sign}{}.{}", tenths.abs() / 10, tenths.abs() % 10)
    })
}

/// What an alert says beside its name and of whom it says it: a level, or a severity and what it is about.
pub(super) fn standing(key: &AlertKey) -> String {
    let labels = key.labels();
    let of = |name: &str| labels.iter().find(|(label, _)| *label == name).map(|(_, value)| &**value);
    match of("level") {
        Some(level) => level.to_owned(),
        None => ["severity", "speed", "window", "metric"].into_iter().filter_map(of).collect::<Vec<_>>().join(" "),
    }
}

/// Of whom an alert says something.
pub(super) fn whom(key: &AlertKey) -> String {
    match &key.about {
        About::Budget { of: Owner::Group(name), .. } | About::Burn { of: Owner::Group(name), .. } => {
            format!("group {name}")
        }
        _ => match key.drill() {
            Some(drill) => format!("{} (drill {drill})", key.scope()),
            None => key.scope().to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::figures::Lengths;

    #[test]
    fn an_overspent_budget_never_looks_like_a_whole_one() {
        let target = Ratio::new(0.9);
        let left = |observed, down| {
            let lengths = Lengths { observed, down, ..Lengths::default() };
            budget_percent(&Figures { lengths, weight: 1, ..Figures::default() }, target)
        };
        assert_eq!(left(1_000_000, 0).unwrap(), "100.0");
        assert_eq!(left(1_000_000, 99_999).unwrap(), "0.0");
        assert_eq!(left(1_000_000, 100_001).unwrap(), "-0.1");
        assert_eq!(left(0, 0), None);
    }
}
