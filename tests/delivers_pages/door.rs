//! A door: an HTTP server whose answers can be made to fail at will, and that keeps what came through it. It stands
//! where a receiver is, or before one, which then answers through it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fournines::clock::{Clock, Stopwatch};
use fournines::model::time::Instant;

/// How long one exchange of ours may take: a paused process must not keep a thread for ever.
const EXCHANGE_SECONDS_MAX: u64 = 10;

/// How long a canary waits for somebody to come.
const VISIT_SECONDS_MAX: f64 = 30.0;

/// How a door treats who comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Answers at once.
    Well,
    /// Answers after so many milliseconds.
    Slowly(u64),
    /// Answers 500 and passes nothing on.
    Refusing,
    /// Hangs up before it read the body.
    HangingUp,
    /// Reads all, passes it on where there is somebody behind the door, and hangs up without an answer.
    Silent,
    /// Does not listen.
    Closed,
    /// A canary: answers that all is well, and keeps nothing.
    Losing,
    /// A canary: takes it as if all were well, and hangs up without an answer, so that it is told again.
    Doubling,
}

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Visit {
    pub(crate) path: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
    /// When its first line was read, and when it was answered or hung up on.
    pub(crate) arrived: Instant,
    pub(crate) answered: Instant,
    /// It was passed on, and whoever is behind the door accepted it.
    pub(crate) taken: bool,
    /// The answer that says so was sent in full.
    pub(crate) acknowledged: bool,
}

/// A request as it came.
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

/// The answer's status and body.
pub(crate) type Answer = (u16, String);

pub(crate) struct Door {
    shared: Arc<Shared>,
    pub(crate) port: u16,
}

struct Shared {
    manner: Mutex<Manner>,
    visits: Mutex<Vec<Visit>>,
    /// Connections that are open, so that closing the door ends them.
    open: Mutex<Vec<TcpStream>>,
    over: AtomicBool,
    clock: Clock,
    behind: Box<Behind>,
    /// Requests on which a canary sat.
    caught: AtomicUsize,
}

type Behind = dyn Fn(&Request) -> Option<Answer> + Send + Sync;

impl Door {
    /// Opens a door. `behind` answers what comes through, or is gone.
    pub(crate) fn open(behind: impl Fn(&Request) -> Option<Answer> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            manner: Mutex::new(Manner::Well),
            visits: Mutex::default(),
            open: Mutex::default(),
            over: AtomicBool::new(false),
            clock: Clock::system(),
            behind: Box::new(behind),
            caught: AtomicUsize::new(0),
        });
        let doorman = shared.clone();
        std::thread::spawn(move || doorman.listen(listener));
        Self { shared, port }
    }

    /// A receiver that accepts everything.
    pub(crate) fn receiver() -> Self {
        Self::open(|_| Some((200, String::new())))
    }

    /// A door before the server on `port`.
    pub(crate) fn before(port: u16) -> Self {
        Self::open(move |request| exchange(port, request).ok())
    }

    pub(crate) fn treat(&self, manner: Manner) {
        *self.shared.manner.lock().unwrap() = manner;
    }

    /// Treats the next request so, and waits for it.
    pub(crate) fn treat_one(&self, manner: Manner) {
        let before = self.shared.caught.load(Ordering::Relaxed);
        self.treat(manner);
        let begun = Stopwatch::start();
        while self.shared.caught.load(Ordering::Relaxed) == before {
            assert!(begun.seconds() < VISIT_SECONDS_MAX, "nobody came");
            std::thread::sleep(Duration::from_millis(1));
        }
        self.treat(Manner::Well);
    }

    /// Everything that came, in the order of the answers.
    pub(crate) fn visits(&self) -> Vec<Visit> {
        self.shared.visits.lock().unwrap().clone()
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
    }
}

impl Shared {
    fn manner(&self) -> Manner {
        *self.manner.lock().unwrap()
    }

    fn listen(self: &Arc<Self>, listener: TcpListener) {
        let address = listener.local_addr().unwrap();
        let mut listener = Some(listener);
        while !self.over.load(Ordering::Relaxed) {
            if self.manner() == Manner::Closed {
                listener = None;
                for stream in self.open.lock().unwrap().drain(..) {
                    let _ = stream.shutdown(Shutdown::Both);
                }
            } else if listener.is_none() {
                // Somebody's outgoing connection may have the port for a moment.
                listener = TcpListener::bind(address).ok();
            }
            let accepted = listener.as_ref().map(|listener| {
                listener.set_nonblocking(true).unwrap();
                listener.accept()
            });
            if let Some(Ok((stream, _))) = accepted {
                stream.set_nonblocking(false).unwrap();
                let mut open = self.open.lock().unwrap();
                open.retain(|stream| stream.peer_addr().is_ok());
                open.extend(stream.try_clone());
                let door = self.clone();
                std::thread::spawn(move || while door.serve(&stream).is_some() {});
            } else {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }

    /// Serves the requests of a connection, which has a reader of its own each: clients wait for an answer before
    /// they ask again.
    fn serve(&self, stream: &TcpStream) -> Option<()> {
        let hang_up = || {
            let _ = stream.shutdown(Shutdown::Both);
        };
        let mut reader = BufReader::new(stream);
        let mut first = String::new();
        if reader.read_line(&mut first).ok()? == 0 {
            hang_up();
            return None;
        }
        let arrived = self.clock.now();
        let manner = self.manner();
        if matches!(manner, Manner::HangingUp | Manner::Closed) {
            hang_up();
            return None;
        }
        let request = read(&first, &mut reader)?;
        if let Manner::Slowly(millis) = manner {
            std::thread::sleep(Duration::from_millis(millis));
        }
        if matches!(manner, Manner::Losing | Manner::Doubling) {
            self.caught.fetch_add(1, Ordering::Relaxed);
        }
        let answer = match manner {
            Manner::Refusing => Some((500, "refused".to_owned())),
            _ => (self.behind)(&request),
        };
        let taken = manner != Manner::Refusing && matches!(answer, Some((200..300, _)));
        // Noted while it is answered: what follows from the answer comes after it.
        let mut visits = self.visits.lock().unwrap();
        let answered = self.clock.now();
        let silent = matches!(manner, Manner::Silent | Manner::Doubling);
        let heard = answer.filter(|_| !silent).is_some_and(|(status, body)| {
            let head = format!("HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n");
            let answer = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
            let mut writer = stream;
            writer.write_all(answer.as_bytes()).is_ok()
        });
        if manner != Manner::Losing {
            let acknowledged = taken && (heard || manner == Manner::Doubling);
            let Request { path, headers, body, .. } = request;
            visits.push(Visit { path, headers, body, arrived, answered, taken, acknowledged });
        }
        drop(visits);
        if !heard {
            hang_up();
            return None;
        }
        Some(())
    }
}

fn read(first: &str, reader: &mut impl BufRead) -> Option<Request> {
    let mut words = first.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let Some((name, value)) = line.split_once(':') else { break };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request { method, path, headers, body })
}

/// Asks the server on `port`, on a connection of its own.
pub(crate) fn exchange(port: u16, request: &Request) -> std::io::Result<Answer> {
    let patience = Duration::from_secs(EXCHANGE_SECONDS_MAX);
    let mut stream = TcpStream::connect_timeout(&SocketAddr::from(([127, 0, 0, 1], port)), patience)?;
    stream.set_read_timeout(Some(patience))?;
    let Request { method, path, headers, body } = request;
    let kind = headers.get("content-type").map_or("application/json", |kind| kind.as_str());
    let head = format!(
        "{method} {path} HTTP/1.0\r\nhost: 127.0.0.1\r\ncontent-type: {kind}\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let bad = || std::io::Error::other("no answer");
    let answer = String::from_utf8(answer).map_err(|_| bad())?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(bad)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(bad)?;
    Ok((status, body.to_owned()))
}

/// Whether the server on `port` says that it is ready.
pub(crate) fn is_ready(port: u16, path: &str) -> bool {
    let request =
        Request { method: "GET".to_owned(), path: path.to_owned(), headers: BTreeMap::new(), body: Vec::new() };
    matches!(exchange(port, &request), Ok((200, _)))
}
