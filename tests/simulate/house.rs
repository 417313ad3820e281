//! The house and the machine it stands on: one life of the daemon after the other, each ended by a fate of its own.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fournines::config::{Settings, Sources};
use fournines::daemon::{Daemon, Surroundings};
use fournines::model::level::Condition;
use fournines::model::target::Value;
use fournines::model::time::{Instant, Span};
use tokio::runtime::Runtime;

use super::Canary;
use super::machine::power::{History, Image};
use super::machine::{Control, ENOSPC};
use super::network::Network;
use super::operator::Operator;
use super::outside::{Outside, of_runtime};
use super::producers::Producer;
use super::receivers::{ALERTMANAGER, PAGER, Receivers};
use super::world;

/// How a life ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// It is asked to stop.
    Stop,
    /// The process is killed; what it wrote stays.
    Kill,
    /// What was not synced is lost, or not, sector by sector.
    PowerCut,
}

/// What happens to a life.
#[derive(Clone, Copy, Debug)]
struct Fate {
    end: End,
    /// When it ends at the latest.
    after: Duration,
    /// The disk is gone after so many writes, counted from that time on.
    dies: Option<(Duration, i64)>,
    /// Syncs fail from then on.
    sync_fails: Option<Duration>,
    /// The disk is full from then on, for so long.
    full: Option<(Duration, Duration)>,
    /// The machine's clock is then set to be off by so many seconds.
    steps: Option<(Duration, i64)>,
}

impl Fate {
    /// The `first` life begins well.
    fn draw(outside: &Outside, steps: bool, first: bool) -> Self {
        let mut chance = outside.chance();
        let end = [End::Stop, End::Kill, End::Kill, End::PowerCut, End::PowerCut][chance.usize(0..5)];
        let seconds = if chance.u8(0..4) == 0 { chance.u64(1..60) } else { chance.u64(60..7200) };
        let mut within = |odds: u8| {
            (chance.u8(0..odds) == 0).then(|| Duration::from_secs(chance.u64(u64::from(first)..=seconds)))
        };
        let (dies, sync_fails, full) = (within(3), within(8), within(4));
        let steps = if steps { within(2) } else { None };
        Self {
            end,
            after: Duration::from_secs(seconds),
            dies: dies.map(|at| (at, chance.i64(1..60))),
            sync_fails,
            full: full.map(|at| (at, Duration::from_secs(chance.u64(1..300)))),
            steps: steps.map(|at| (at, chance.i64(-300..300))),
        }
    }

    /// When the disk begins to fail, if it does.
    fn disk_fails(self) -> Option<Duration> {
        [self.dies.map(|(at, _)| at), self.sync_fails, self.full.map(|(at, _)| at)].into_iter().flatten().min()
    }

    /// Has it happen.
    async fn troubles(self, control: Arc<Control>, outside: Outside) {
        let dies = async {
            if let Some((at, deeds)) = self.dies {
                tokio::time::sleep(at).await;
                control.die_in(Some(deeds));
            }
        };
        let sync_fails = async {
            if let Some(at) = self.sync_fails {
                tokio::time::sleep(at).await;
                control.let_syncs_fail(true);
            }
        };
        let full = async {
            if let Some((at, length)) = self.full {
                tokio::time::sleep(at).await;
                outside.note("the disk is full");
                control.let_writes_fail(Some(ENOSPC));
                tokio::time::sleep(length).await;
                outside.note("there is room on the disk");
                control.let_writes_fail(None);
            }
        };
        let steps = async {
            if let Some((at, seconds)) = self.steps {
                tokio::time::sleep(at).await;
                outside.note("the clock steps");
                outside.put_clock_off(seconds);
            }
        };
        tokio::join!(dies, sync_fails, full, steps);
    }
}

/// A folder with the storage and what controls its disk.
pub(crate) struct House {
    folder: PathBuf,
    control: Arc<Control>,
    /// What was on the disk when its log began.
    before: Image,
    settings: Settings,
    /// When it was there for everybody.
    pub(crate) up: Vec<(Instant, Instant)>,
    /// From when its disk began to fail until the end of that life.
    pub(crate) failing: Vec<(Instant, Instant)>,
    lives: u32,
}

/// How long a daemon that was asked to stop may take: what limits it are the waits for clients and receivers.
const STOPPING_MAX: Duration = Duration::from_secs(60);
/// How long everything may take to be told once nothing fails any more.
const SETTLING: Duration = Duration::from_secs(1200);

/// Those who speak to the daemon.
type People<'a> = (&'a [Arc<tokio::sync::Mutex<Producer>>], &'a Arc<Mutex<Operator>>);

/// They begin, or go on.
fn begin((producers, operator): People<'_>, network: &Network, outside: &Outside) {
    Producer::send_all(producers, network, outside);
    tokio::spawn(Operator::run(operator.clone(), network.clone(), outside.clone()));
}

/// A process: nothing else runs on its one thread, and its time passes when there is nothing to do.
fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
}

fn storage_in(folder: &Path) -> PathBuf {
    folder.join("data")
}

impl House {
    /// An empty one in the folder that the machine is preloaded for.
    pub(crate) fn new(folder: &Path, outside: &Outside, has_alertmanager: bool) -> Self {
        let storage = storage_in(folder);
        let _ = fs::remove_dir_all(&storage);
        let file = folder.join("fournines.toml");
        let (events, interval) = (outside.chance().u32(1..30), outside.chance().u32(20..900));
        let mut text = format!(
            "[storage]\npath = {storage:?}\ncheckpoint_events = {events}\ncheckpoint_interval = \"{interval}s\"\n\
             [clock]\nmax_future = \"20m\"\n[[alerting.webhooks]]\nname = \"pager\"\nurl = \"{PAGER}\"\n"
        );
        if has_alertmanager {
            text += &format!("[[alerting.alertmanagers]]\nurl = \"{ALERTMANAGER}\"\n");
        }
        fs::write(&file, text).unwrap();
        let settings = Settings::load(&Sources { file: Some(file), ..Sources::default() }).unwrap();
        let settings = Settings { policy: world::policy(), ..settings };
        let this = Self {
            folder: folder.to_owned(),
            control: Arc::new(Control::new(folder)),
            before: Image::new(),
            settings,
            up: Vec::new(),
            failing: Vec::new(),
            lives: 0,
        };
        this.control.let_syncs_do_nothing();
        this.begin_log();
        this
    }

    pub(crate) fn storage(&self) -> PathBuf {
        storage_in(&self.folder)
    }

    /// A life from `from` on, with its faults, to its end. Returns when that was.
    pub(crate) fn live(
        &mut self,
        from: Instant,
        (outside, network, receivers): (&Outside, &Network, &Receivers),
        people: People<'_>,
        steps: bool,
    ) -> Instant {
        let fate = Fate::draw(outside, steps, self.lives == 0);
        self.reconsider(outside);
        self.lives += 1;
        let runtime = runtime();
        let ended = runtime.block_on(async {
            outside.begin(from);
            outside.note(format_args!("a life begins: {fate:?}"));
            let deadline = of_runtime() + fate.after;
            tokio::spawn(fate.troubles(self.control.clone(), outside.clone()));
            match tokio::time::timeout_at(deadline, self.start(outside, network, receivers)).await {
                Err(_) => outside.note("it is still starting"),
                Ok(Err(error)) => outside.note(format_args!("it cannot start: {error}")),
                Ok(Ok(daemon)) => {
                    let ready = outside.now();
                    begin(people, network, outside);
                    let is_asked = tokio::time::timeout_at(deadline, daemon.ending()).await.is_err();
                    self.up.push((ready, outside.now()));
                    if is_asked && fate.end == End::Stop {
                        daemon.stop();
                    }
                    if !is_asked || fate.end == End::Stop {
                        let ended = tokio::time::timeout(STOPPING_MAX, daemon.ended()).await;
                        outside.note(format_args!("it ends by itself: {}, {ended:?}", !is_asked));
                    }
                }
            }
            outside.end()
        });
        let failing = fate.disk_fails().map(|at| from.plus(Span::from_secs(at.as_secs().cast_signed())));
        self.failing.extend(failing.map(|began| (began, ended)).filter(|(began, _)| *began <= ended));
        // Nothing reaches the disk while what is left of the process is taken down.
        self.control.kill(true);
        network.close();
        drop(runtime);
        self.mend();
        if fate.end == End::PowerCut {
            self.cut_power(outside);
        }
        ended
    }

    /// The last life, in which nothing fails: until `until` and until everything is sent and told. Then `look` is at it, and
    /// it ends as it is asked to.
    pub(crate) fn end<T>(
        &mut self,
        (from, until): (Instant, Instant),
        (outside, network, receivers): (&Outside, &Network, &Receivers),
        people: People<'_>,
        look: impl AsyncFnOnce() -> T,
    ) -> Result<(T, Instant), String> {
        let runtime = runtime();
        outside.calm_down();
        outside.put_clock_off(0);
        let looked = runtime.block_on(async {
            outside.begin(from);
            outside.note("the last life begins");
            let daemon = self.start(outside, network, receivers).await.map_err(|error| error.to_string())?;
            let ready = outside.now();
            begin(people, network, outside);
            let rest = Duration::from_micros(until.since(ready).max(Span::ZERO).as_micros().unsigned_abs());
            if tokio::time::timeout(rest + SETTLING, daemon.ending()).await.is_ok() {
                return Err(format!("it ended by itself: {:?}", daemon.ended().await));
            }
            let looked = look().await;
            self.up.push((ready, outside.now()));
            let clock = outside.clock();
            daemon.stop();
            daemon.ended().await.map_err(|error| error.to_string())?;
            let end = clock.now();
            outside.end();
            Ok((looked, end))
        });
        network.close();
        drop(runtime);
        looked
    }

    /// The machine is as it was.
    fn mend(&self) {
        self.control.die_in(None);
        self.control.let_syncs_fail(false);
        self.control.let_writes_fail(None);
        self.control.kill(false);
    }

    /// Leaves on the disk what a power cut does.
    fn cut_power(&mut self, outside: &Outside) {
        let log = self.folder.join("log");
        let history = History::after(std::mem::take(&mut self.before), &log);
        let lies = outside.is_planted(Canary::LyingDisk);
        self.before = history.image(u64::MAX, || outside.chance().bool(), lies);
        fs::remove_dir_all(self.storage()).unwrap();
        fs::create_dir(self.storage()).unwrap();
        for (path, bytes) in &self.before {
            fs::write(path, bytes).unwrap();
        }
        self.begin_log();
        let sizes: Vec<usize> = self.before.values().map(Vec::len).collect();
        outside.note(format_args!("the power was cut: {sizes:?}"));
    }

    fn begin_log(&self) {
        File::options().write(true).create(true).truncate(true).open(self.folder.join("log")).unwrap();
    }

    /// Its configuration may be another one at the next start.
    fn reconsider(&mut self, outside: &Outside) {
        let mut chance = outside.chance();
        if chance.u8(0..3) > 0 {
            return;
        }
        let (response, lasting) = (chance.i64(5..40), chance.i64(10..60));
        outside.note(format_args!("the policy changes: response in {response} min, level 2 from {lasting} min"));
        let policy = &mut self.settings.policy;
        policy.targets.base[0].value = Value::Limit(Span::from_mins(response));
        policy.levels.second[0].conditions = vec![Condition::LastingAtLeast(Span::from_mins(lasting))];
    }

    async fn start(
        &self,
        outside: &Outside,
        network: &Network,
        receivers: &Receivers,
    ) -> Result<Daemon, fournines::daemon::DaemonError> {
        let surroundings = Surroundings {
            listener: network.open(),
            address: Network::address(),
            wire: receivers.wire(),
            clock: outside.clock(),
            early: None,
        };
        Daemon::start_on(self.settings.clone(), surroundings).await
    }
}
