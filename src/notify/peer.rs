//! The other side of a request: how it is reached, who we say we are, and what its answer means.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Certificate, Identity, Method, Request, RequestBuilder, Response, StatusCode};

use crate::config::{Access, Credentials};

/// How long one request may take.
const REQUEST_SECONDS_MAX: u64 = 10;
/// How much of an answer is kept.
const ANSWER_CHARS_MAX: usize = 300;

/// Takes requests in the network's place, and answers them or says why not.
type Taker = dyn Fn(Request) -> Pin<Box<dyn Future<Output = Result<Response, String>> + Send>> + Send + Sync;

/// What carries requests: the network, if nothing was put in its place.
#[derive(Clone, Default)]
pub struct Wire(Option<Arc<Taker>>);

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Wire(simulated)" } else { "Wire(network)" })
    }
}

impl Wire {
    /// A simulated one: `take` has every request.
    #[must_use]
    pub fn simulated<F>(take: impl Fn(Request) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Response, String>> + Send + 'static,
    {
        Self(Some(Arc::new(move |request| Box::pin(take(request)))))
    }

    async fn carry(&self, request: RequestBuilder) -> Result<Response, String> {
        match &self.0 {
            None => request.send().await.map_err(|error| causes(&error)),
            Some(take) => take(request.build().map_err(|error| causes(&error))?).await,
        }
    }
}

/// A server that is spoken to.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    url: String,
    credentials: Option<Credentials>,
    client: reqwest::Client,
    wire: Wire,
}

/// Why a request brought nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PeerError {
    /// It may work later.
    #[error("{0}")]
    Passing(String),
    /// This request will never be taken.
    #[error("{0}")]
    Refused(String),
}

impl Peer {
    /// A client for one server. Its answers are not asked for in compressed form.
    ///
    /// # Errors
    /// When a certificate or a key cannot be read.
    pub(super) fn new(access: &Access, wire: &Wire) -> Result<Self, String> {
        crate::tls::install();
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("fournines/", env!("CARGO_PKG_VERSION")))
            .timeout(Duration::from_secs(REQUEST_SECONDS_MAX))
            // Whoever is told must be who the configuration says.
            .redirect(reqwest::redirect::Policy::none());
        let wrong = |what: &str, error: &reqwest::Error| format!("{}: {what}: {}", access.url, causes(error));
        if let Some(authorities) = &access.authorities {
            let read = Certificate::from_pem_bundle(authorities).map_err(|error| wrong("ca_file", &error))?;
            builder = builder.tls_certs_only(read);
        }
        if let Some(identity) = &access.identity {
            let read = Identity::from_pem(&identity.0).map_err(|error| wrong("cert_file, key_file", &error))?;
            builder = builder.identity(read);
        }
        let client = builder.build().map_err(|error| wrong("no HTTP client", &error))?;
        Ok(Self { url: access.url.clone(), credentials: access.credentials.clone(), client, wire: wire.clone() })
    }

    /// Its address.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// A request to a path below its address.
    pub(super) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.url));
        match &self.credentials {
            None => request,
            Some(Credentials::Basic(name, password)) => request.basic_auth(name, Some(password.text())),
            Some(Credentials::Bearer(token)) => request.bearer_auth(token.text()),
        }
    }

    /// Sends, and gives the answer of a request that was taken.
    ///
    /// # Errors
    /// When it was not.
    pub(super) async fn send(&self, request: RequestBuilder) -> Result<Response, PeerError> {
        let response = self.wire.carry(request).await.map_err(PeerError::Passing)?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let text: String = response.text().await.unwrap_or_default().chars().take(ANSWER_CHARS_MAX).collect();
        let answer = if text.is_empty() { status.to_string() } else { format!("{status}: {text}") };
        Err(match status {
            // What is wrong with the message is wrong with it tomorrow; all else can be mended at the other end.
            StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY => {
                PeerError::Refused(answer)
            }
            _ => PeerError::Passing(answer),
        })
    }
}

/// An error with what caused it: the outermost alone says little.
pub(super) fn causes(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    text
}
