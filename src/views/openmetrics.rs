//! Families of metrics in the text format of OpenMetrics 1.0. The crate `prometheus` writes its own older one only.

use std::io::{self, Write};

use prometheus::proto::{LabelPair, Metric, MetricFamily, MetricType};

/// The media type of what is written.
pub(super) const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Units that a name may end in.
const UNITS: [&str; 3] = ["seconds", "bytes", "ratio"];

/// Writes families, each of whose names is there once.
///
/// # Errors
/// When `out` fails.
pub(super) fn write(families: &[MetricFamily], out: &mut impl Write) -> io::Result<()> {
    for family in families {
        match family.get_field_type() {
            MetricType::COUNTER => {
                // The family is named without the ending of its samples.
                let name = family.name().strip_suffix("_total").unwrap_or(family.name());
                head(out, family, name, "counter")?;
                let total = format!("{name}_total");
                for metric in family.get_metric() {
                    sample(out, &total, metric.get_label(), None, metric.get_counter().get_value())?;
                }
            }
            MetricType::GAUGE => {
                head(out, family, family.name(), "gauge")?;
                for metric in family.get_metric() {
                    sample(out, family.name(), metric.get_label(), None, metric.get_gauge().get_value())?;
                }
            }
            MetricType::HISTOGRAM => {
                head(out, family, family.name(), "histogram")?;
                for metric in family.get_metric() {
                    histogram(out, family.name(), metric)?;
                }
            }
            // The daemon has none of these.
            MetricType::SUMMARY | MetricType::UNTYPED => {}
        }
    }
    out.write_all(b"# EOF\n")
}

/// What is said of a family before its samples.
fn head(out: &mut impl Write, family: &MetricFamily, name: &str, kind: &str) -> io::Result<()> {
    writeln!(out, "# TYPE {name} {kind}")?;
    let ending = name.rsplit_once('_').map(|(_, ending)| ending);
    if let Some(unit) = UNITS.iter().find(|unit| ending == Some(unit)) {
        writeln!(out, "# UNIT {name} {unit}")?;
    }
    if !family.help().is_empty() {
        write!(out, "# HELP {name} ")?;
        escaped(out, family.help())?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

fn histogram(out: &mut impl Write, name: &str, metric: &Metric) -> io::Result<()> {
    let (labels, of) = (metric.get_label(), metric.get_histogram());
    let count = of.get_sample_count() as f64;
    let bucket = format!("{name}_bucket");
    for step in of.get_bucket().iter().filter(|step| step.upper_bound().is_finite()) {
        // A limit always has a point: 1.0, not 1.
        let limit = format!("{:?}", step.upper_bound());
        sample(out, &bucket, labels, Some(&limit), step.cumulative_count() as f64)?;
    }
    sample(out, &bucket, labels, Some("+Inf"), count)?;
    sample(out, &format!("{name}_count"), labels, None, count)?;
    sample(out, &format!("{name}_sum"), labels, None, of.get_sample_sum())
}

/// One line; of a bucket with its limit.
fn sample(
    out: &mut impl Write,
    name: &str,
    labels: &[LabelPair],
    limit: Option<&str>,
    value: f64,
) -> io::Result<()> {
    out.write_all(name.as_bytes())?;
    let named = labels.iter().map(|label| (label.name(), label.value()));
    let mut before = b"{";
    for (label, value) in named.chain(limit.map(|limit| ("le", limit))) {
        out.write_all(before)?;
        out.write_all(label.as_bytes())?;
        out.write_all(b"=\"")?;
        escaped(out, value)?;
        out.write_all(b"\"")?;
        before = b",";
    }
    if before == b"," {
        out.write_all(b"}")?;
    }
    if value.is_infinite() {
        return writeln!(out, " {}Inf", if value > 0.0 { '+' } else { '-' });
    }
    // The shortest that is read as the same number; `NaN` is written so.
    writeln!(out, " {value}")
}

/// Writes a text in which a backslash, a quote or the end of a line means itself.
fn escaped(out: &mut impl Write, text: &str) -> io::Result<()> {
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|byte| matches!(byte, b'\\' | b'"' | b'\n')) {
        out.write_all(&rest[..at])?;
        out.write_all(match rest[at] {
            b'\\' => br"\\",
            b'"' => br#"\""#,
            _ => br"\n",
        })?;
        rest = &rest[at + 1..];
    }
    out.write_all(rest)
}

#[cfg(test)]
mod tests {
    use prometheus::{CounterVec, Gauge, GaugeVec, HistogramOpts, HistogramVec, IntCounter, Opts, Registry};
    use proptest::prelude::*;

    use super::*;

    fn written(registry: &Registry) -> String {
        let mut text = Vec::new();
        write(&registry.gather(), &mut text).unwrap();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn each_kind_is_written_as_the_standard_says() {
        let registry = Registry::new();
        let seconds =
            CounterVec::new(Opts::new("busy_seconds_total", "Work \"done\".\nAll of it."), &["by"]).unwrap();
        seconds.with_label_values(&["a"]).inc_by(0.25);
        let plain = IntCounter::new("things", "Things.").unwrap();
        let ratio = Gauge::new("kept_ratio", "Kept.").unwrap();
        ratio.set(f64::NEG_INFINITY);
        let near = Gauge::new("milliseconds", "No unit is its whole name, nor the end of a word.").unwrap();
        near.set(1e-7);
        let took = HistogramOpts::new("took_seconds", "Took.").buckets(vec![0.1, 1.0]);
        let took = HistogramVec::new(took, &["of"]).unwrap();
        took.with_label_values(&["x"]).observe(0.5);
        took.with_label_values(&["x"]).observe(5.0);
        registry.register(Box::new(seconds)).unwrap();
        registry.register(Box::new(plain)).unwrap();
        registry.register(Box::new(ratio)).unwrap();
        registry.register(Box::new(near)).unwrap();
        registry.register(Box::new(took)).unwrap();
        let expected = r#"# TYPE busy_seconds counter
# UNIT busy_seconds seconds
# HELP busy_seconds Work \"done\".\nAll of it.
busy_seconds_total{by="a"} 0.25
# TYPE kept_ratio gauge
# UNIT kept_ratio ratio
# HELP kept_ratio Kept.
kept_ratio -Inf
# TYPE milliseconds gauge
# HELP milliseconds No unit is its whole name, nor the end of a word.
milliseconds 0.0000001
# TYPE things counter
# HELP things Things.
things_total 0
# TYPE took_seconds histogram
# UNIT took_seconds seconds
# HELP took_seconds Took.
took_seconds_bucket{of="x",le="0.1"} 0
took_seconds_bucket{of="x",le="1.0"} 1
took_seconds_bucket{of="x",le="+Inf"} 2
took_seconds_count{of="x"} 2
took_seconds_sum{of="x"} 5.5
# EOF
"#;
        assert_eq!(written(&registry), expected);
    }

    /// The value of the only label of a line, read as the standard says, and what comes after it.
    fn read(line: &str) -> (String, &str) {
        let mut value = String::new();
        let quoted = line.split_once("=\"").unwrap().1;
        let mut characters = quoted.char_indices();
        while let Some((at, character)) = characters.next() {
            match character {
                '"' => return (value, &quoted[at + 1..]),
                '\\' => value.push(match characters.next().unwrap().1 {
                    'n' => '\n',
                    other => other,
                }),
                '\n' => panic!("a line ends within a label: {line:?}"),
                other => value.push(other),
            }
        }
        panic!("a label does not end: {line:?}");
    }

    proptest! {
        #[test]
        fn any_label_and_any_number_are_read_as_they_were(label in r#"(?s)([\\"\n{},=#]|.){0,12}"#, number: f64) {
            let gauge = GaugeVec::new(Opts::new("g", "G."), &["name"]).unwrap();
            gauge.with_label_values(&[&*label]).set(number);
            let registry = Registry::new();
            registry.register(Box::new(gauge)).unwrap();
            let text = written(&registry);
            let lines: Vec<&str> = text.split('\n').collect();
            prop_assert!(lines.len() == 5 && lines[3..] == ["# EOF", ""], "{text:?}");
            let (read, rest) = read(lines[2]);
            prop_assert_eq!(read, label);
            let value: f64 = rest.strip_prefix("} ").unwrap().parse().unwrap();
            prop_assert!(value == number || value.is_nan() && number.is_nan(), "{} {}", value, number);
        }
    }
}
