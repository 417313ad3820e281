//! What most events are, `latency` and `measurement`, read from what most senders write.
//!
//! `serde_json` must be ready for all that JSON may be. This is ready for little of it and leaves the rest to that: reading
//! takes a third less time so (`cargo bench --bench ingest`).

use super::{LATENCY, MEASUREMENT};

/// A sample, with no other members than these.
#[derive(Debug, Default)]
pub(super) struct Sample<'a> {
    pub(super) kind: Option<&'a str>,
    pub(super) id: Option<&'a str>,
    pub(super) time: Option<&'a str>,
    pub(super) service: Option<&'a str>,
    pub(super) source: Option<&'a str>,
    pub(super) drill: Option<&'a str>,
    pub(super) ms: Option<f64>,
    pub(super) count: Option<u64>,
    pub(super) metric: Option<&'a str>,
    pub(super) value: Option<f64>,
}

/// So many digits are a whole number below 2⁵³, and ten to that power is one that a float has exactly: the quotient of
/// the two is rounded once, as it must be.
const DIGITS_MAX: usize = 15;

/// What is not read yet.
struct Rest<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Sample<'a> {
    /// Reads one that is written plainly: each of those members once at most, texts without escapes, numbers without an
    /// exponent and of fifteen digits at most. Absent for anything else, be it right or wrong.
    pub(super) fn plain(text: &'a str) -> Option<Self> {
        let mut rest = Rest { text, at: 0 };
        let mut sample = Self::default();
        rest.mark(b'{')?;
        loop {
            let key = rest.string()?;
            rest.mark(b':')?;
            match key {
                "type" => {
                    once(&mut sample.kind, rest.string().filter(|kind| matches!(*kind, LATENCY | MEASUREMENT))?)
                }
                "id" => once(&mut sample.id, rest.string()?),
                "time" => once(&mut sample.time, rest.string()?),
                "service" => once(&mut sample.service, rest.string()?),
                "source" => once(&mut sample.source, rest.string()?),
                "drill" => once(&mut sample.drill, rest.string()?),
                "metric" => once(&mut sample.metric, rest.string()?),
                "ms" => once(&mut sample.ms, rest.number()?),
                "value" => once(&mut sample.value, rest.number()?),
                "count" => once(&mut sample.count, rest.digits()?.0),
                _ => None,
            }?;
            if rest.mark(b',').is_none() {
                break;
            }
        }
        rest.mark(b'}')?;
        rest.skip_space();
        (rest.at == text.len()).then_some(sample)
    }
}

/// How many bytes stand before the first that ends a text, or that this does not read: a quote, a backslash, or one below
/// a blank. Eight at once: a byte's highest bit is set where it is one of those, and perhaps in bytes above it.
fn run_of_plain(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::MAX / 255;
    let below = |word: u64, limit: u64| word.wrapping_sub(ONES * limit) & !word;
    let (words, rest) = bytes.as_chunks::<8>();
    for (place, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let is = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
        let ends = (is(b'"') | is(b'\\') | below(word, u64::from(b' '))) & (ONES << 7);
        if ends != 0 {
            return Some(place * 8 + ends.trailing_zeros() as usize / 8);
        }
    }
    let last = rest.iter().position(|&byte| byte == b'"' || byte == b'\\' || byte < b' ')?;
    Some(bytes.len() - rest.len() + last)
}

/// Sets what is not set yet.
fn once<T>(member: &mut Option<T>, value: T) -> Option<()> {
    member.replace(value).is_none().then_some(())
}

impl<'a> Rest<'a> {
    fn next(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.next(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Passes a mark, and space before it.
    fn mark(&mut self, mark: u8) -> Option<()> {
        self.skip_space();
        let found = self.next() == Some(mark);
        self.at += usize::from(found);
        found.then_some(())
    }

    fn string(&mut self) -> Option<&'a str> {
        self.mark(b'"')?;
        let (start, bytes) = (self.at, self.text.as_bytes());
        let end = start + run_of_plain(&bytes[start..])?;
        self.at = end + 1;
        (bytes[end] == b'"').then(|| &self.text[start..end])
    }

    /// A whole number of fifteen digits at most, and how many they are. It begins with 0 only if it is 0.
    fn digits(&mut self) -> Option<(u64, usize)> {
        self.skip_space();
        let zero = self.next() == Some(b'0');
        let (number, count) = self.run_of_digits()?;
        (!zero || count == 1).then_some((number, count))
    }

    fn run_of_digits(&mut self) -> Option<(u64, usize)> {
        let start = self.at;
        let mut number = 0;
        while let Some(digit @ b'0'..=b'9') = self.next() {
            number = number * 10 + u64::from(digit - b'0');
            self.at += 1;
            if self.at - start > DIGITS_MAX {
                return None;
            }
        }
        let count = self.at - start;
        (count > 0).then_some((number, count))
    }

    fn number(&mut self) -> Option<f64> {
        let negative = self.mark(b'-').is_some();
        if negative && !self.next()?.is_ascii_digit() {
            return None;
        }
        let (mut number, mut count) = self.digits()?;
        let mut scale = 1_u64;
        if self.next() == Some(b'.') {
            self.at += 1;
            let (fraction, finer) = self.run_of_digits()?;
            count += finer;
            if count > DIGITS_MAX {
                return None;
            }
            scale = 10_u64.pow(u32::try_from(finer).ok()?);
            number = number * scale + fraction;
        }
        let value = number as f64 / scale as f64;
        Some(if negative { -value } else { value })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value};

    use super::*;

    /// Whether the general reader makes the same of a text.
    fn is_read_so(text: &str, sample: &Sample<'_>) -> bool {
        let Ok(members) = serde_json::from_str::<Map<String, Value>>(text) else { return false };
        let texts = [
            ("type", sample.kind),
            ("id", sample.id),
            ("time", sample.time),
            ("service", sample.service),
            ("source", sample.source),
            ("drill", sample.drill),
            ("metric", sample.metric),
        ];
        let numbers = [("ms", sample.ms), ("value", sample.value)];
        texts.iter().all(|(key, text)| members.get(*key).and_then(Value::as_str) == *text)
            && numbers.iter().all(|(key, number)| {
                members.get(*key).and_then(Value::as_f64).map(f64::to_bits) == number.map(f64::to_bits)
            })
            && members.get("count").and_then(Value::as_u64) == sample.count
    }

    /// A piece of JSON, or of something like it.
    fn piece() -> impl Strategy<Value = String> {
        let number = prop_oneof![
            "-?(0|[1-9][0-9]{0,8})(\\.[0-9]{1,8})?",
            "-?[0-9]{0,17}(\\.[0-9]{0,17})?([eE][+-]?[0-9]{1,2})?",
        ];
        let string = prop_oneof!["\"[a-z0-9:.é-]{0,9}\"", "\"[ -~]{0,9}\"", "\"[\\x00-\\x1f\"\\\\u0-9a-f]{0,4}\""];
        prop_oneof![4 => string, 4 => number, 1 => "null|true|\\{\\}|\\[1\\]|"]
    }

    fn object() -> impl Strategy<Value = String> {
        let key = prop_oneof!["type|id|time|service|source|drill", "ms|count|metric|value", "extra|MS|"];
        let space = prop_oneof![5 => Just(String::new()), 1 => "[ \\t\\r\\n]{1,2}"];
        let member = (key, space.clone(), space, piece())
            .prop_map(|(key, before, after, value)| format!("{before}\"{key}\"{after}:{before}{value}{after}"));
        let end = prop_oneof![12 => Just("}"), 1 => Just("} "), 1 => Just(",}"), 1 => Just("}}"), 1 => Just("")];
        (prop::collection::vec(member, 0..5), end)
            .prop_map(|(members, end)| format!("{{{}{end}", members.join(",")))
    }

    proptest! {
        #[test]
        fn a_text_ends_where_its_first_mark_is(bytes in prop::collection::vec(prop_oneof![8 => any::<u8>(), 1 => Just(b'"')], 0..40)) {
            let ends = |&byte: &u8| byte == b'"' || byte == b'\\' || byte < b' ';
            prop_assert_eq!(run_of_plain(&bytes), bytes.iter().position(ends));
        }

        #[test]
        fn what_is_read_plainly_is_what_the_general_reader_reads(text in object()) {
            if let Some(sample) = Sample::plain(&text) {
                prop_assert!(is_read_so(&text, &sample), "{text}: {sample:?}");
            }
        }

        #[test]
        fn what_senders_write_is_read_plainly(
            ms in 0_u64..1_000_000_000, digits in 0_usize..4, count in 0_u64..1000, name in "[a-zé/0-9-]{1,40}",
        ) {
            #[allow(clippy::cast_precision_loss, reason = "below 2^53")]
            let ms = ms as f64 / 1000.0;
            let time = "2026-01-31T12:00:00.123Z";
            for text in [
                format!(r#"{{"type":"latency","time":"{time}","service":"{name}","ms":{ms:.digits$}}}"#),
                format!(r#"{{"id": "{name}", "count": {count}, "ms": {ms}, "type": "latency", "source": "s"}}"#),
            ] {
                let sample = Sample::plain(&text);
                prop_assert!(sample.is_some_and(|sample| is_read_so(&text, &sample)), "{text}");
            }
        }
    }
}
