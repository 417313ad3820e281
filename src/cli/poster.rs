//! Posts events to a daemon, and tries again for a while when it is busy, starting or out of reach.

use std::time::Duration;

use reqwest::{RequestBuilder, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use xxhash_rust::xxh3::xxh3_128;

/// How often a body is tried: with doubling pauses, for about a minute.
const TRIES_MAX: u32 = 8;
const PAUSE_FIRST: Duration = Duration::from_millis(250);
const PAUSE_LAST: Duration = Duration::from_secs(30);

/// How long a stream is followed before it is asked for anew: it has no end of its own.
const FOLLOWED_FOR_MAX: Duration = Duration::from_secs(24 * 3600);

/// Where events go.
pub(super) struct Poster {
    client: reqwest::Client,
    url: String,
    token: Option<String>,
}

/// What the daemon answered.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Answer {
    pub(super) accepted: u64,
    pub(super) duplicates: u64,
    pub(super) rejected: Vec<Rejection>,
    pub(super) rejected_total: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct Rejection {
    pub(super) line: u64,
    pub(super) error: String,
}

/// What a refusal says.
#[derive(Debug, Default, Deserialize)]
struct Refusal {
    #[serde(default)]
    detail: String,
    #[serde(default)]
    rejected: Vec<Rejection>,
    #[serde(default)]
    rejected_total: u64,
}

impl Poster {
    pub(super) fn new(url: &str, token: Option<String>) -> Result<Self, String> {
        crate::tls::install();
        let client = reqwest::Client::builder().timeout(Duration::from_secs(60)).build();
        let client = client.map_err(|error| format!("no HTTP client: {error}"))?;
        Ok(Self { client, url: url.trim_end_matches('/').to_owned(), token })
    }

    /// What the daemon answers at a path, asked once.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, String> {
        self.read(self.once(self.client.get(format!("{}{path}", self.url))).await?).await
    }

    /// The same, of any media type.
    pub(super) async fn fetch(&self, path: &str) -> Result<bytes::Bytes, String> {
        let response = self.once(self.client.get(format!("{}{path}", self.url))).await?;
        response.bytes().await.map_err(|error| self.failed(&error))
    }

    /// What the daemon answers to a JSON object, posted once.
    pub(super) async fn ask<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T, String> {
        self.read(self.once(self.client.post(format!("{}{path}", self.url)).json(body)).await?).await
    }

    /// The daemon's server-sent events, from those after `last` on. They end only when the connection does.
    pub(super) async fn follow(&self, path: &str, last: Option<&str>) -> Result<Response, String> {
        let mut request = self.client.get(format!("{}{path}", self.url)).timeout(FOLLOWED_FOR_MAX);
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        self.once(request).await
    }

    /// The response to a request that is made once, if it is a good one.
    async fn once(&self, mut request: RequestBuilder) -> Result<Response, String> {
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        let response = request.send().await.map_err(|error| self.failed(&error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let refusal: Refusal = response.json().await.unwrap_or_default();
        Err(format!("{}: {status}: {}", self.url, refusal.detail))
    }

    async fn read<T: DeserializeOwned>(&self, response: Response) -> Result<T, String> {
        response.json().await.map_err(|error| self.failed(&error))
    }

    /// What failed, with what lies at the bottom of it: "connection refused" helps, "error sending request" does not.
    fn failed(&self, error: &reqwest::Error) -> String {
        let mut deepest: &dyn std::error::Error = error;
        while let Some(below) = deepest.source() {
            deepest = below;
        }
        format!("{}: {deepest}", self.url)
    }

    /// Posts lines of events. The body's hash is its key, so that trying again is harmless.
    pub(super) async fn post(&self, lines: &[u8]) -> Result<Answer, String> {
        let key = format!("{:032x}", xxh3_128(lines));
        let body = zstd::bulk::compress(lines, 1).map_err(|error| error.to_string())?;
        let mut pause = PAUSE_FIRST;
        let mut problem = String::new();
        for _ in 0..TRIES_MAX {
            let mut request = self
                .client
                .post(format!("{}/api/v1/events", self.url))
                .header("content-type", "application/x-ndjson")
                .header("content-encoding", "zstd")
                .header("idempotency-key", &key)
                .body(body.clone());
            if let Some(token) = &self.token {
                request = request.bearer_auth(token);
            }
            problem = match request.send().await {
                Ok(response) if response.status().is_success() => {
                    return response.json().await.map_err(|error| format!("{}: {error}", self.url));
                }
                Ok(response) => {
                    let status = response.status();
                    let refusal: Refusal = response.json().await.unwrap_or_default();
                    if status.as_u16() == 400 && refusal.rejected_total > 0 {
                        let Refusal { rejected, rejected_total, .. } = refusal;
                        return Ok(Answer { rejected, rejected_total, ..Answer::default() });
                    }
                    if !matches!(status.as_u16(), 408 | 429 | 500..) {
                        return Err(format!("{}: {status}: {}", self.url, refusal.detail));
                    }
                    format!("{status}: {}", refusal.detail)
                }
                Err(error) if error.is_builder() => return Err(format!("{}: {error}", self.url)),
                Err(error) => error.to_string(),
            };
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_LAST);
        }
        Err(format!("{}: given up after {TRIES_MAX} tries: {problem}", self.url))
    }
}
