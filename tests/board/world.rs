//! A daemon that has some of everything to show: open incidents of every level in every stage, what was restored,
//! maintenance past, present and to come, drills, services that are degraded, unknown or measured, names that are long,
//! Chinese or would be markup, and a history.

use fournines::clock::Clock;
use fournines::model::time::Span;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::common::{Server, fournines, free_port, get, post, until};

/// A large interruption: a ring that takes its sites with it, with users past the limit of the first level.
pub(crate) const RING: &str = "guangdong/guangzhou/ring-1";
/// An interruption that nobody acknowledged, and that should have been repaired by now.
pub(crate) const OVERDUE: &str = "hunan/changsha/agg-2";
/// One whose clocks still run, of the second level.
pub(crate) const FRESH: &str = "shanghai/pudong/olt-3";
/// A small one with words in it that would be markup.
pub(crate) const HOSTILE: &str = "beijing/olt-7";
/// What somebody malign could write as a detail; it must be shown, not obeyed.
pub(crate) const MARKUP: &str =
    "<img src=x onerror=\"window.isObeyed=true\"><script>window.isObeyed=true</script>&amp;";
/// What was out and is back.
pub(crate) const RESTORED: &str = "hubei/wuhan/olt-2";
/// A service whose feed is silent.
pub(crate) const UNKNOWN: &str = "xinjiang/urumqi/olt-1";
/// A service that was never out.
pub(crate) const CALM: &str = "national/broadband";

const CATALOG: &str = "\
id,name,kind,region,tier,users,groups,depends_on,since,owner
national/broadband,National broadband,broadband,national,silver,20000000,,,,planning
guangdong/guangzhou/ring-1,Aggregation ring 1,transport,guangdong,gold,180000,backbone,,,noc
guangdong/guangzhou/olt-1,Access 1,broadband,guangdong,gold,90000,homes,guangdong/guangzhou/ring-1,,field
guangdong/guangzhou/olt-2,Access 2,broadband,guangdong,silver,60000,homes,guangdong/guangzhou/ring-1,,field
guangdong/guangzhou/olt-3,Access 3,broadband,guangdong,silver,30000,homes;hospitals,guangdong/guangzhou/ring-1,,field
hunan/changsha/agg-2,Aggregation 2,transport,hunan,gold,20000,backbone,,,noc
shanghai/pudong/olt-3,Access 3,broadband,shanghai,silver,50000,homes,,,field
beijing/olt-7,Access <b>7</b> & more,broadband,beijing,silver,800,homes,,,field
hubei/wuhan/olt-2,Access 2,broadband,hubei,silver,12000,homes,,,field
sichuan/chengdu/olt-9,Access 9,broadband,sichuan,silver,9000,homes,,,field
xinjiang/urumqi/olt-1,Access 1,broadband,xinjiang,silver,4000,homes,,,field
zhejiang/hangzhou/dns-1,Resolver 1,dns,zhejiang,gold,70000,,,,soc
江苏/南京/接入-5,南京接入五,broadband,江苏,silver,5000,homes,,,field
fujian/site-with-a-name-that-somebody-made-by-joining-everything-they-knew-about-it-ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJKLMNOPQRSTUVWXYZ,,broadband,fujian,silver,10,,,,field
";

const SETTINGS: &str = r#"
time_zone = "Asia/Shanghai"
[targets]
latency.limit = "100ms"
latency.ratio = 0.95
[[targets.override]]
group = "homes"
availability = 0.999
[[targets.measurement]]
metric = "packet_loss_ratio"
over = 0.02
[[sources.feed]]
source = "ems"
heartbeat = "1s"
group = "region:xinjiang"
[[sources.feed]]
source = "nms"
heartbeat = "1h"
group = "region:shanghai"
[reporting]
regulators = ["cn", "us-fcc"]
"#;

/// A daemon and its storage.
pub(crate) struct World {
    pub(crate) daemon: Server,
    settings: String,
    port: u16,
    folder: TempDir,
}

impl World {
    /// One in which nothing was ever said.
    pub(crate) fn empty() -> Self {
        Self::with("", "")
    }

    /// One with those services.
    pub(crate) fn with(settings: &str, catalog: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut first = String::new();
        if !catalog.is_empty() {
            let file = folder.path().join("services.csv");
            std::fs::write(&file, catalog).unwrap();
            first = format!("catalog.file = \"{}\"\n", file.display());
        }
        let (port, settings) = (free_port(), first + settings);
        let daemon = fournines(folder.path(), port, &settings);
        Self { daemon, settings, port, folder }
    }

    /// Kills the daemon, lets something be done without it, and starts it again at the same address.
    pub(crate) fn outlive(&mut self, meanwhile: impl FnOnce()) {
        self.daemon.child.kill().unwrap();
        self.daemon.child.wait().unwrap();
        meanwhile();
        self.daemon = fournines(self.folder.path(), self.port, &self.settings);
    }

    /// One with some of everything.
    pub(crate) fn full() -> Self {
        let world = Self::with(SETTINGS, CATALOG);
        post(&world.daemon, &history());
        post(&world.daemon, &present());
        // A feed is given its time to speak from the daemon's start on; the one that is silent has but a second.
        let fed = world.url(&format!("/api/v1/services/{}", encoded(UNKNOWN)));
        until("a feed is silent", || (get(&fed)["state"] == "unknown").then_some(()));
        world
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.daemon.url)
    }

    /// The last incident of a service, as the API shows it.
    pub(crate) fn incident(&self, service: &str) -> Value {
        let query = format!("/api/v1/incidents?service={}", encoded(service));
        let found = get(&self.url(&query))["incidents"][0].clone();
        assert!(found.is_object(), "there is no incident of {service}");
        found
    }

    /// Its id.
    pub(crate) fn id(&self, service: &str) -> String {
        self.incident(service)["id"].as_str().unwrap().to_owned()
    }

    /// Every page of the board, each with a name for a file, for a world with some of everything.
    pub(crate) fn pages(&self) -> Vec<(&'static str, String)> {
        let incident = |service| format!("/incidents/{}", self.id(service));
        let service = |name| format!("/services/{}", encoded(name));
        let drill = get(&self.url("/api/v1/incidents?drill=*"))["incidents"][0]["id"].as_str().unwrap().to_owned();
        vec![
            ("now", "/".to_owned()),
            ("wall", "/?wall=1".to_owned()),
            ("services", "/services".to_owned()),
            ("services-down", "/services?state=down&sort=budget".to_owned()),
            ("services-none", "/services?search=nothing-is-called-that".to_owned()),
            ("service-down", service(RING)),
            ("service-up", service(RESTORED)),
            ("service-calm", service(CALM)),
            ("service-chinese", service("江苏/南京/接入-5")),
            ("service-unknown", service(UNKNOWN)),
            ("incidents", "/incidents".to_owned()),
            ("incident-ring", incident(RING)),
            ("incident-overdue", incident(OVERDUE)),
            ("incident-hostile", incident(HOSTILE)),
            ("incident-restored", incident(RESTORED)),
            ("incident-drill", format!("/incidents/{drill}")),
            ("maintenance", "/maintenance".to_owned()),
            ("drills", "/drills".to_owned()),
            ("reports", "/reports".to_owned()),
            ("report", format!("/reports/{}", &Clock::system().now().to_string()[..7])),
            ("policy", "/policy".to_owned()),
        ]
    }
}

/// A text as one segment of a path, or as a value in a query.
pub(crate) fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// An event of so many minutes ago.
pub(crate) fn said(kind: &str, service: &str, minutes_ago: i64, more: &Value) -> String {
    let time = Clock::system().now().minus(Span::from_mins(minutes_ago)).to_string();
    let mut event = json!({ "type": kind, "time": time, "service": service });
    event.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
    if event["service"] == "" {
        event.as_object_mut().unwrap().remove("service");
    }
    format!("{event}\n")
}

/// Incidents of the last weeks, all of them over, so that there are repairs to tell of and strips with something in them.
fn history() -> String {
    let places =
        [RESTORED, "sichuan/chengdu/olt-9", "guangdong/guangzhou/olt-1", "zhejiang/hangzhou/dns-1", RESTORED];
    let causes = ["equipment", "external", "human", "congestion", "technical"];
    let mut events = String::new();
    for (n, (service, cause)) in (1_i64..).zip(places.iter().zip(causes).cycle().take(14)) {
        let start = n * 5 * 24 * 60 + n * 37;
        let minutes = 20 + n * 23 % 260;
        for (kind, after, more) in [
            ("outage.started", 0, json!({ "cause": cause, "detail": "both spans" })),
            ("repair.acknowledged", 4 + n * 3, json!({ "by": "li" })),
            ("repair.dispatched", 9 + n * 3, json!({ "by": "li", "detail": "van 3" })),
            ("repair.located", 11 + n * 3, json!({ "by": "wang", "cause": cause })),
            ("repair.mitigated", minutes, json!({ "by": "wang" })),
            ("outage.ended", minutes, json!({})),
            ("repair.verified", minutes + 5, json!({ "by": "li" })),
            ("survey", minutes + 60, json!({ "score": 60 + n })),
        ] {
            events += &said(kind, service, start - after, &more);
        }
    }
    let in_past = |minutes: i64| Clock::system().now().minus(Span::from_mins(minutes)).to_string();
    let in_future = |minutes: i64| Clock::system().now().plus(Span::from_mins(minutes)).to_string();
    for (key, service, from, until, reason) in [
        ("m-over", RESTORED, in_past(2900), in_past(2700), "cards are changed"),
        ("m-now", "zhejiang/hangzhou/dns-1", in_past(30), in_future(90), "new release of the resolver"),
        ("m-next", CALM, in_future(2000), in_future(2240), "割接"),
        ("m-off", HOSTILE, in_future(3000), in_future(3100), MARKUP),
    ] {
        let more = json!({ "maintenance": key, "from": from, "until": until, "reason": reason });
        events += &said("maintenance.planned", service, 20_000, &more);
    }
    events += &said("maintenance.cancelled", HOSTILE, 60, &json!({ "maintenance": "m-off" }));
    events
}

/// What is going on.
fn present() -> String {
    let mut events = String::new();
    let mut say = |kind: &str, service: &str, minutes_ago: i64, more: Value| {
        events += &said(kind, service, minutes_ago, &more);
    };
    say("heartbeat", "", 200, json!({ "source": "ems" }));
    say("heartbeat", "", 3, json!({ "source": "nms" }));
    say("outage.started", RESTORED, 300, json!({ "cause": "equipment", "detail": "line card" }));
    say("repair.acknowledged", RESTORED, 290, json!({ "by": "li" }));
    say("repair.located", RESTORED, 280, json!({ "by": "li", "cause": "equipment" }));
    say("outage.ended", RESTORED, 90, json!({}));
    say("repair.verified", RESTORED, 75, json!({ "by": "li" }));

    say("outage.started", RING, 131, json!({ "cause": "external", "detail": "a digger, both spans" }));
    for (n, site) in (1..).zip(["olt-1", "olt-2", "olt-3"]) {
        say("outage.started", &format!("guangdong/guangzhou/{site}"), 131 - n, json!({}));
    }
    say("repair.acknowledged", RING, 120, json!({ "by": "li", "detail": "on it" }));
    say("repair.dispatched", RING, 112, json!({ "by": "li", "detail": "two teams" }));
    say("repair.held", RING, 100, json!({ "by": "li", "reason": "no access to the duct" }));
    say("repair.resumed", RING, 80, json!({ "by": "wang" }));
    say("repair.located", RING, 60, json!({ "by": "wang", "cause": "external" }));
    say("outage.ended", "guangdong/guangzhou/olt-3", 20, json!({}));

    say("outage.started", OVERDUE, 260, json!({ "detail": "no answer" }));
    say("outage.started", FRESH, 25, json!({ "users": 50_000 }));
    say("outage.started", HOSTILE, 8, json!({ "users": 800, "detail": MARKUP }));
    say("repair.acknowledged", HOSTILE, 5, json!({ "by": MARKUP, "detail": MARKUP }));
    say("outage.started", "sichuan/chengdu/olt-9", 25, json!({ "severity": "degraded", "weight": 0.4 }));
    say("outage.started", "江苏/南京/接入-5", 45, json!({ "detail": "光缆中断" }));
    for minute in 1..30 {
        say("latency", "zhejiang/hangzhou/dns-1", minute, json!({ "ms": 20 + minute * 7 % 120, "count": 50 }));
    }
    say("measurement", CALM, 4, json!({ "metric": "packet_loss_ratio", "value": 0.05 }));

    let drill = |n: &str, more: Value| {
        let mut more = more;
        more["drill"] = json!(n);
        more
    };
    say("outage.started", "zhejiang/hangzhou/dns-1", 70, drill("ddos/1", json!({ "users": 60_000 })));
    say("repair.acknowledged", "zhejiang/hangzhou/dns-1", 64, drill("ddos/1", json!({ "by": "soc" })));
    say("outage.ended", "zhejiang/hangzhou/dns-1", 40, drill("ddos/1", json!({})));
    say("repair.verified", "zhejiang/hangzhou/dns-1", 38, drill("ddos/1", json!({ "by": "soc" })));
    say("outage.started", CALM, 10, drill("ring-cut/2", json!({ "users": 40_000 })));
    events
}
