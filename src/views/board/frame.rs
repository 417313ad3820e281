//! The frame of every page: who looks at it, in which language and light, and how figures are written in it.

use std::convert::Infallible;
use std::sync::LazyLock;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Uri, header};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use xxhash_rust::xxh3::xxh3_64;

use super::super::api::Reading;
use super::CHOICE_SECONDS;
use crate::engine::Engine;
use crate::model::calendar::Calendar;
use crate::model::time::Instant;
use crate::words::Language;

/// The lights that one may choose from: the system's, or one of the two.
pub(super) const THEMES: [&str; 3] = ["auto", "light", "dark"];

/// A file that pages load, at an address that changes with it.
#[derive(Debug)]
pub(super) struct Asset {
    pub(super) path: String,
    pub(super) text: &'static str,
}

impl Asset {
    fn new(name: &str, ending: &str, text: &'static str) -> Self {
        Self { path: format!("/assets/{name}-{:016x}.{ending}", xxh3_64(text.as_bytes())), text }
    }
}

/// How pages look.
pub(super) static STYLE: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("board", "css", include_str!("assets/board.css")));
/// What keeps them up to date.
pub(super) static SCRIPT: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("board", "js", include_str!("assets/board.js")));

/// Where in the board a page is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Now,
    Services,
    Incidents,
    Maintenance,
    Drills,
    Reports,
    Policy,
    Elsewhere,
}

impl Place {
    /// Those that the navigation leads to: where, in both languages, and the key that goes there after `g`.
    pub(super) const ALL: [(Self, &'static str, &'static str, &'static str, char); 7] = [
        (Self::Now, "/", "Now", "当前", 'n'),
        (Self::Services, "/services", "Services", "服务", 's'),
        (Self::Incidents, "/incidents", "Incidents", "中断事件", 'i'),
        (Self::Maintenance, "/maintenance", "Maintenance", "维护", 'm'),
        (Self::Drills, "/drills", "Drills", "演练", 'd'),
        (Self::Reports, "/reports", "Reports", "报告", 'r'),
        (Self::Policy, "/policy", "Policy", "规则", 'p'),
    ];
}

/// How somebody asks for a page.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    language: Language,
    theme: &'static str,
    wall: bool,
    /// The path and query, for the way back.
    path: String,
    /// Who they said they were when they last did something.
    by: String,
}

impl<S: Sync> FromRequestParts<S> for Asked {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::by(&parts.uri, &parts.headers))
    }
}

/// The language that a browser prefers: Chinese if it names that before English.
fn preferred(headers: &HeaderMap) -> Language {
    let accepted = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let weighed = accepted.split(',').filter_map(|one| {
        let (tag, weight) = one.split_once(";q=").unwrap_or((one, "1"));
        let language = match tag.trim().get(..2)? {
            "zh" => Language::Chinese,
            "en" => Language::English,
            _ => return None,
        };
        Some((language, weight.trim().parse::<f64>().ok()?))
    });
    // The first of equals.
    let better = |best: (Language, f64), one: (Language, f64)| if one.1 > best.1 { one } else { best };
    weighed.reduce(better).map_or(Language::English, |(language, _)| language)
}

fn cookie_of(headers: &HeaderMap, name: &str) -> Option<String> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = all.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let value = pairs.find_map(|(known, value)| (known == name).then_some(value))?;
    Some(percent_decode_str(value).decode_utf8_lossy().into_owned())
}

/// A cookie that remembers a choice.
#[must_use]
pub(super) fn cookie(name: &str, value: &str) -> String {
    let value = utf8_percent_encode(value, NON_ALPHANUMERIC);
    format!("{name}={value}; Path=/; Max-Age={CHOICE_SECONDS}; SameSite=Lax")
}

impl Asked {
    /// What a request says of who asks.
    pub(super) fn by(uri: &Uri, headers: &HeaderMap) -> Self {
        let language = match cookie_of(headers, "lang").as_deref() {
            Some("zh") => Language::Chinese,
            Some("en") => Language::English,
            _ => preferred(headers),
        };
        let theme = cookie_of(headers, "theme");
        let theme = THEMES.into_iter().find(|known| theme.as_deref() == Some(known)).unwrap_or(THEMES[0]);
        let wall = uri.query().is_some_and(|query| query.split('&').any(|one| one == "wall=1"));
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        Self { language, theme, wall, path, by: cookie_of(headers, "by").unwrap_or_default() }
    }

    /// The frame of a page about the network as it stands.
    pub(super) fn page(self, place: Place, reading: &Reading, engine: &Engine) -> Page {
        let now = reading.at(engine);
        Page { now, speed: reading.clock.speed(), calendar: engine.calendar(), ..self.plain(place) }
    }

    /// The frame of a page that says nothing of the network.
    pub(super) fn plain(self, place: Place) -> Page {
        let Self { language, theme, wall, path, by } = self;
        let (now, speed, calendar) = (Instant::from_micros(0), 1, Calendar::default());
        Page { language, theme, wall, path, by, place, now, speed, calendar }
    }
}

/// The frame of a page.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) language: Language,
    pub(super) theme: &'static str,
    /// Whether it hangs on a wall, where nobody clicks.
    pub(super) wall: bool,
    pub(super) path: String,
    pub(super) by: String,
    pub(super) place: Place,
    /// As of when it is.
    pub(super) now: Instant,
    /// How many times as fast as real time the daemon's clock runs.
    pub(super) speed: u32,
    pub(super) calendar: Calendar,
}

impl Page {
    /// The frame of what is read without a daemon.
    pub(super) fn alone(language: Language) -> Self {
        let (path, by) = (String::new(), String::new());
        let asked = Asked { language, theme: "light", wall: false, path, by };
        asked.plain(Place::Elsewhere)
    }

    /// The text in the page's language.
    pub(super) const fn t(&self, english: &'static str, chinese: &'static str) -> &'static str {
        match self.language {
            Language::English => english,
            Language::Chinese => chinese,
        }
    }

    pub(super) const fn lang(&self) -> &'static str {
        self.t("en", "zh")
    }

    /// Whether it has an instant and a zone.
    pub(super) fn tells_of_the_network(&self) -> bool {
        self.place != Place::Elsewhere
    }

    pub(super) fn zone(&self) -> &str {
        self.calendar.zone()
    }

    pub(super) fn style(&self) -> &'static str {
        &STYLE.path
    }

    pub(super) fn script(&self) -> &'static str {
        &SCRIPT.path
    }

    pub(super) const fn version(&self) -> &'static str {
        env!("CARGO_PKG_VERSION")
    }

    pub(super) fn places(&self) -> Vec<Link> {
        let link = |(place, path, english, chinese, key)| Link {
            path,
            text: self.t(english, chinese),
            key,
            is_here: place == self.place,
        };
        Place::ALL.into_iter().map(link).collect()
    }

    /// The languages that one may choose.
    pub(super) fn languages(&self) -> [(&'static str, &'static str, bool); 2] {
        [("en", "English", self.lang() == "en"), ("zh", "中文", self.lang() == "zh")]
    }

    /// The lights that one may choose.
    pub(super) fn themes(&self) -> [(&'static str, &'static str, bool); 3] {
        let names = [self.t("Auto", "自动"), self.t("Light", "浅色"), self.t("Dark", "深色")];
        std::array::from_fn(|at| (THEMES[at], names[at], THEMES[at] == self.theme))
    }
}

/// A way to a page.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) path: &'static str,
    pub(super) text: &'static str,
    pub(super) key: char,
    pub(super) is_here: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_is_the_one_that_the_browser_prefers() {
        let of = |accepted: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_LANGUAGE, accepted.parse().unwrap());
            preferred(&headers)
        };
        assert_eq!(of("zh-CN,zh;q=0.9,en;q=0.8"), Language::Chinese);
        assert_eq!(of("en-US,en;q=0.9,zh;q=0.8"), Language::English);
        assert_eq!(of("de,en;q=0.3,zh;q=0.5"), Language::Chinese);
        assert_eq!(of("de"), Language::English);
        assert_eq!(preferred(&HeaderMap::new()), Language::English);
    }

    #[test]
    fn a_cookie_brings_back_what_was_put_in() {
        let mut headers = HeaderMap::new();
        let line = format!("theme=dark; {}", cookie("by", "李 雷; x=y").split(';').next().unwrap());
        headers.insert(header::COOKIE, line.parse().unwrap());
        assert_eq!(cookie_of(&headers, "by").as_deref(), Some("李 雷; x=y"));
        assert_eq!(cookie_of(&headers, "theme").as_deref(), Some("dark"));
        assert_eq!(cookie_of(&headers, "lang"), None);
    }
}
