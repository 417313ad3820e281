//! Text by the columns that it takes on a terminal: a Chinese character takes two.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// What stands for what was cut off. Plain characters: not every console knows others.
const CUT: &str = "...";

/// A text of somebody else's without what could move the cursor or end a line.
pub(super) fn clean(text: &str) -> String {
    text.replace(char::is_control, " ")
}

/// How many columns a text takes.
pub(super) fn width(text: &str) -> usize {
    text.width()
}

/// The text, cut off where it takes more than `columns`.
pub(super) fn cut(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let mark = &CUT[..CUT.len().min(columns)];
    format!("{}{mark}", &text[..fitting(text, columns - mark.len())])
}

/// The text in exactly so many columns, cut off or filled up with blanks after it.
pub(super) fn left(text: &str, columns: usize) -> String {
    let text = cut(text, columns);
    let blanks = columns - text.width();
    format!("{text}{:blanks$}", "")
}

/// The same with the blanks before it.
pub(super) fn right(text: &str, columns: usize) -> String {
    let text = cut(text, columns);
    let blanks = columns - text.width();
    format!("{:blanks$}{text}", "")
}

/// The text in lines of at most so many columns, broken at blanks where there are any. All but the first are moved in
/// by `indent`.
pub(super) fn wrap(text: &str, columns: usize, indent: usize) -> Vec<String> {
    let indent = if columns < indent * 2 + 4 { 0 } else { indent };
    let mut lines = Vec::new();
    let mut rest = text;
    loop {
        let moved_in = if lines.is_empty() { 0 } else { indent };
        // At least one character: a line that holds none would never end.
        let least = rest.chars().next().map_or(0, char::len_utf8);
        let fits = fitting(rest, columns.saturating_sub(moved_in)).max(least);
        if fits >= rest.len() {
            lines.push(format!("{:moved_in$}{rest}", ""));
            return lines;
        }
        let blank = if rest[fits..].starts_with(' ') { Some(fits) } else { rest[..fits].rfind(' ') };
        let end = blank.filter(|&end| !rest[..end].trim().is_empty()).unwrap_or(fits);
        lines.push(format!("{:moved_in$}{}", "", rest[..end].trim_end()));
        rest = rest[end..].trim_start();
    }
}

/// Groups parts into lines of at most so many columns, two blanks between them.
pub(super) fn flow(parts: &[String], columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for part in parts {
        match lines.last_mut() {
            Some(line) if line.width() + 2 + part.width() <= columns => line.extend(["  ", part]),
            _ => lines.extend(wrap(part, columns, 2)),
        }
    }
    lines
}

/// How many bytes of a text fit into so many columns.
fn fitting(text: &str, columns: usize) -> usize {
    let mut taken = 0;
    for (at, c) in text.char_indices() {
        taken += c.width().unwrap_or(0);
        if taken > columns {
            return at;
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_takes_the_columns_that_it_is_given() {
        for text in ["", "a", "olt-7", "深圳", "深圳/南山-07", "a深b圳c", "e\u{301}tat", "👩‍🚒 truck"]
        {
            for columns in 0..12 {
                assert_eq!(
                    (width(&left(text, columns)), width(&right(text, columns))),
                    (columns, columns),
                    "{text}"
                );
                let lines = wrap(text, columns.max(2), 1);
                assert!(lines.iter().all(|line| width(line) <= columns.max(2)), "{lines:?}");
            }
        }
        assert_eq!((&*left("深圳南山", 7), &*left("深圳", 5), &*right("深圳", 5)), ("深圳...", "深圳 ", " 深圳"));
        assert_eq!((&*cut("深圳南山", 6), &*cut("abcdef", 2)), ("深...", ".."));
    }

    #[test]
    fn lines_break_at_blanks() {
        assert_eq!(wrap("one two three", 8, 2), ["one two", "  three"]);
        assert_eq!(wrap("guangdong/shenzhen", 10, 0), ["guangdong/", "shenzhen"]);
        assert_eq!(wrap("所有业务中断", 8, 2), ["所有业务", "  中断"]);
        let parts = ["one", "two three", "four"].map(str::to_owned);
        assert_eq!(flow(&parts, 14), ["one  two three", "four"]);
        assert_eq!(flow(&parts, 5), ["one", "two", "three", "four"]);
    }
}
