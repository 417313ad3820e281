//! Somebody on call, who looks at what is open now and then and writes down what is done about it, again and again until
//! it is answered.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use super::Canary;
use super::network::Network;
use super::outside::Outside;

/// What can be said of any open incident.
const STAGES: [&str; 5] = ["acknowledge", "dispatch", "mitigate", "hold", "resume"];
/// How often somebody looks.
const LOOKS_SECONDS: std::ops::Range<u64> = 300..3600;

/// What was done, and what is under way.
#[derive(Default)]
pub(crate) struct Operator {
    deeds: usize,
    /// The path and the body of what is under way.
    doing: Option<(String, String)>,
    /// The details of what was answered to be taken.
    pub(crate) acknowledged: Vec<String>,
    /// What should not have been answered.
    pub(crate) wrong: Vec<String>,
}

impl Operator {
    /// Looks and acts until nothing fails any more, and what is under way is answered.
    pub(crate) async fn run(this: Arc<Mutex<Self>>, network: Network, outside: Outside) {
        loop {
            let doing = this.lock().unwrap().doing.clone();
            match doing {
                Some((path, body)) => {
                    let key = format!("deed {}", this.lock().unwrap().deeds);
                    let headers = [("content-type", "application/json"), ("idempotency-key", &*key)];
                    let answer = if outside.is_planted(Canary::Unwritten) && outside.happens(4) {
                        Ok((200, "{}".into()))
                    } else {
                        network.ask("POST", &path, &headers, body).await
                    };
                    outside.note(format_args!("operator {path}: {:?}", answer.as_ref().map(|(status, _)| status)));
                    if !this.lock().unwrap().heard(&path, answer) {
                        tokio::time::sleep(Duration::from_secs(outside.chance().u64(1..20))).await;
                    }
                }
                None if outside.is_calm() => return,
                None => {
                    tokio::time::sleep(Duration::from_secs(outside.chance().u64(LOOKS_SECONDS))).await;
                    let open = network.ask("GET", "/api/v1/incidents?status=open", &[], String::new()).await;
                    if let Ok((200, body)) = open {
                        this.lock().unwrap().choose(&serde_json::from_slice(&body).unwrap(), &outside);
                    }
                }
            }
        }
    }

    /// Chooses what to do of what is open.
    fn choose(&mut self, open: &Value, outside: &Outside) {
        let mut chance = outside.chance();
        let incidents = open["incidents"].as_array().unwrap();
        if incidents.is_empty() {
            return;
        }
        self.deeds += 1;
        let id = incidents[chance.usize(0..incidents.len())]["id"].as_str().unwrap();
        let stage = STAGES[chance.usize(0..STAGES.len())];
        // What a hold says is its reason.
        let said = if stage == "hold" { "reason" } else { "detail" };
        let body = json!({"by": "ana", said: self.detail()});
        self.doing = Some((format!("/api/v1/incidents/{id}/{stage}"), body.to_string()));
    }

    fn detail(&self) -> String {
        format!("deed {}", self.deeds)
    }

    /// Whether that is the end of it.
    fn heard(&mut self, path: &str, answer: Result<(u16, axum::body::Bytes), String>) -> bool {
        let Ok((status, body)) = answer else { return false };
        match status {
            200 => self.acknowledged.push(self.detail()),
            408 | 429 | 503 => return false,
            // It was merged into another meanwhile, or was no incident after all.
            409 => {}
            _ => self.wrong.push(format!("{path}: {status} {}", String::from_utf8_lossy(&body))),
        }
        self.doing = None;
        true
    }
}
