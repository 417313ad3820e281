//! `GET /metrics`: what the registry gathers, in the format and the packing that whoever asks prefers.

use std::io::{self, BufWriter, Write};
use std::sync::Arc;

use axum::extract::State;
use axum::http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use prometheus::{Encoder, Registry, TextEncoder};
use tokio::sync::Mutex;

use super::openmetrics;
use crate::problem::{self, Problem};
use crate::threads;

/// The text format of before OpenMetrics, which everything reads.
const TEXT_MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
/// Lines are packed this many bytes at a time: one by one takes ten times as long.
const AT_ONCE: usize = 64 * 1024;

/// What the route works with.
#[derive(Clone, Debug)]
pub struct Scraping {
    registry: Registry,
    /// Held while an answer is made. One at a time, so that however many ask, events have a core left, and the memory is
    /// that of one answer.
    turn: Arc<Mutex<()>>,
}

impl Scraping {
    /// For what is in the registry.
    #[must_use]
    pub fn new(registry: Registry) -> Self {
        Self { registry, turn: Arc::default() }
    }
}

/// Metrics for Prometheus
///
/// In OpenMetrics 1.0 where `Accept` prefers that, else in the older text format. Packed with gzip where `Accept-Encoding`
/// allows it.
#[utoipa::path(
    get, path = "/metrics", tag = "operation",
    responses(
        (status = 200, description = "Figures and the daemon's own metrics.", content(
            (String = "text/plain; version=0.0.4; charset=utf-8"),
            (String = "application/openmetrics-text; version=1.0.0; charset=utf-8"),
        )),
        (status = 500, response = problem::Failed),
    )
)]
pub async fn metrics(State(scraping): State<Scraping>, headers: HeaderMap) -> Response {
    let (open, packed) = (prefers_openmetrics(&headers), takes_gzip(&headers));
    let turn = scraping.turn.lock_owned().await;
    // On a thread of its own, since it may take a second and others want to be answered meanwhile.
    let made = threads::alone("scrape", move || {
        let made = if packed { pack(&scraping.registry, open) } else { plain(&scraping.registry, open) };
        drop(turn);
        made
    });
    let failed = |error: &dyn std::fmt::Display| {
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response()
    };
    let made = match made {
        Ok(made) => made.await,
        Err(error) => return failed(&error),
    };
    let body = match made {
        Ok(Ok(body)) => body,
        Ok(Err(error)) => return failed(&error),
        Err(error) => return failed(&error),
    };
    let kind = if open { openmetrics::MEDIA_TYPE } else { TEXT_MEDIA_TYPE };
    let mut answer = ([(CONTENT_TYPE, kind), (VARY, "accept, accept-encoding")], body).into_response();
    if packed {
        answer.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    answer
}

fn plain(registry: &Registry, open: bool) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    write(registry, open, &mut text)?;
    Ok(text)
}

/// The fastest level: it takes a sixth of the bytes or less here, and the slowest takes ten times as long to save a
/// fifth of those.
fn pack(registry: &Registry, open: bool) -> io::Result<Vec<u8>> {
    let mut packer = BufWriter::with_capacity(AT_ONCE, GzEncoder::new(Vec::new(), Compression::fast()));
    write(registry, open, &mut packer)?;
    packer.into_inner().map_err(io::IntoInnerError::into_error)?.finish()
}

fn write(registry: &Registry, open: bool, out: &mut impl Write) -> io::Result<()> {
    let families = registry.gather();
    if open {
        openmetrics::write(&families, out)
    } else {
        TextEncoder::new().encode(&families, out).map_err(io::Error::other)
    }
}

/// One of what a header such as `Accept` lists.
struct Listed<'h> {
    name: String,
    parameters: Vec<&'h str>,
    /// How much it is wanted, from 0, not at all, to 1.
    weight: f32,
}

/// What headers of that name list; what cannot be read is passed over.
fn listed(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = Listed<'_>> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).filter_map(|one| {
        let mut parts = one.split(';').map(str::trim);
        let name = parts.next()?.to_ascii_lowercase();
        let (weights, parameters): (Vec<&str>, Vec<&str>) =
            parts.partition(|part| part.starts_with("q=") || part.starts_with("Q="));
        let weight = weights.first().map_or(Ok(1.0), |weight| weight[2..].parse()).ok()?;
        Some(Listed { name, parameters, weight })
    })
}

/// Whether OpenMetrics is asked for by its name, and nothing that the older format fits is wanted more.
fn prefers_openmetrics(headers: &HeaderMap) -> bool {
    let (mut open, mut text, mut texts, mut anything) = (0.0_f32, None, None, None);
    for Listed { name, parameters, weight } in listed(headers, ACCEPT) {
        let version = parameters.iter().find_map(|parameter| parameter.strip_prefix("version="));
        let version = version.map(|version| version.trim_matches('"'));
        match (&*name, version) {
            ("application/openmetrics-text", None | Some("1.0.0")) => open = open.max(weight),
            ("text/plain", None | Some("0.0.4")) => text = Some(weight.max(text.unwrap_or(0.0))),
            ("text/*", _) => texts = Some(weight),
            ("*/*", _) => anything = Some(weight),
            _ => {}
        }
    }
    // What is named is worth what it is named with; only what is not is worth what all are.
    open > 0.0 && open >= text.or(texts).or(anything).unwrap_or(0.0)
}

/// Whether an answer may be packed with gzip, and is not rather wanted as it is.
fn takes_gzip(headers: &HeaderMap) -> bool {
    let (mut gzip, mut identity, mut anything) = (None, 0.0, 0.0_f32);
    for Listed { name, weight, .. } in listed(headers, ACCEPT_ENCODING) {
        match &*name {
            "gzip" | "x-gzip" => gzip = Some(weight),
            "identity" => identity = weight,
            "*" => anything = weight,
            _ => {}
        }
    }
    let gzip = gzip.unwrap_or(anything);
    gzip > 0.0 && gzip >= identity
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn openmetrics_is_for_those_who_prefer_it() {
        // What Prometheus 2.42 sends, and 3 with either format first, and others.
        for (accept, expected) in [
            (
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                 text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                true,
            ),
            (
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,\
                 application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
                 application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,\
                 text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
                true,
            ),
            ("text/plain;version=0.0.4;q=0.6,application/openmetrics-text;version=1.0.0;q=0.5,*/*;q=0.1", false),
            ("application/openmetrics-text;version=0.0.1,*/*;q=0.1", false),
            ("application/openmetrics-text; version=\"1.0.0\"; charset=utf-8", true),
            ("Application/OpenMetrics-Text", true),
            ("application/openmetrics-text;q=0", false),
            ("application/openmetrics-text;q=0.2,*/*;q=0.9", false),
            ("application/openmetrics-text;q=0.5,text/plain;q=0.2,*/*", true),
            ("application/openmetrics-text;q=nonsense", false),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", false),
            ("*/*", false),
            ("", false),
        ] {
            assert_eq!(prefers_openmetrics(&headers(ACCEPT, accept)), expected, "{accept}");
        }
        assert!(!prefers_openmetrics(&HeaderMap::new()));
    }

    #[test]
    fn gzip_is_for_those_who_take_it() {
        for (accept, expected) in [
            ("gzip", true),
            ("gzip, deflate, br", true),
            ("x-gzip;q=0.5", true),
            ("br;q=1.0, *;q=0.1", true),
            ("gzip;q=0", false),
            ("gzip;q=0, *", false),
            ("gzip;q=0.5, identity", false),
            ("identity", false),
            ("br", false),
            ("", false),
        ] {
            assert_eq!(takes_gzip(&headers(ACCEPT_ENCODING, accept)), expected, "{accept}");
        }
        assert!(!takes_gzip(&HeaderMap::new()));
    }
}
