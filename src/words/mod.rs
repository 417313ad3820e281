//! What an alert says to people: templates in their language, checked before anything is told with them.
//!
//! Must not enter: whether an alert fires, whom it is told, anything that does I/O.

mod because;
mod samples;
mod variables;

use std::sync::Arc;

use minijinja::{Environment, Output, UndefinedBehavior, Value, escape_formatter};

pub use because::{cause, clock, span, window};
pub use variables::VARIABLES;

use crate::model::alert::Alert;
use crate::model::calendar::Calendar;
use crate::model::time::Instant;

/// Steps that one text may take: hundreds of times what the built-in ones need, and over in a moment, so that a loop in
/// a template holds up no page.
const STEPS_MAX: u64 = 100_000;

/// The language of the alerts' text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// English.
    #[default]
    English,
    /// Chinese.
    Chinese,
}

/// A text of an alert, as its annotation is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Text {
    /// What happened, in a line.
    Summary,
    /// What is known, why it fires, and what comes next.
    Description,
}

impl Text {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Summary, Self::Description];

    /// The annotation's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Summary => "summary",
            Self::Description => "description",
        }
    }

    /// The built-in template, which a user may begin with.
    #[must_use]
    pub const fn built_in(self, language: Language) -> &'static str {
        match (self, language) {
            (Self::Summary, Language::English) => include_str!("en/summary.jinja"),
            (Self::Summary, Language::Chinese) => include_str!("zh/summary.jinja"),
            (Self::Description, Language::English) => include_str!("en/description.jinja"),
            (Self::Description, Language::Chinese) => include_str!("zh/description.jinja"),
        }
    }
}

/// The templates, with what they need to speak. Clones share them.
#[derive(Clone, Debug)]
pub struct Words {
    /// The language.
    pub language: Language,
    calendar: Calendar,
    templates: Arc<Environment<'static>>,
}

impl Words {
    /// The templates of `language`, but for those that `own` replaces. Times are those of `calendar`.
    ///
    /// # Errors
    /// With what is wrong in each: its syntax, a variable that there is not, or what fails for some kind of alert.
    pub fn new(
        language: Language,
        calendar: Calendar,
        own: &[(Text, String)],
    ) -> Result<Self, Vec<(Text, String)>> {
        let mut templates = Environment::new();
        templates.set_undefined_behavior(UndefinedBehavior::Strict);
        templates.set_fuel(Some(STEPS_MAX));
        templates.set_formatter(nothing_for_none);
        let mut mistakes = Vec::new();
        for text in Text::ALL {
            let owned = own.iter().find(|(of, _)| *of == text).map(|(_, source)| source.clone());
            let source = owned.unwrap_or_else(|| text.built_in(language).to_owned());
            if let Err(error) = templates.add_template_owned(text.name(), source) {
                mistakes.push((text, explained(&error)));
            }
        }
        let words = Self { language, calendar, templates: Arc::new(templates) };
        for text in Text::ALL.into_iter().filter(|text| words.templates.get_template(text.name()).is_ok()) {
            mistakes.extend(words.check(text).err().map(|problem| (text, problem)));
        }
        if mistakes.is_empty() { Ok(words) } else { Err(mistakes) }
    }

    /// No templates: what is said is what is said where one fails.
    #[must_use]
    pub fn plain(language: Language) -> Self {
        Self { language, calendar: Calendar::default(), templates: Arc::new(Environment::new()) }
    }

    /// What the alert says, `ended` when it is over. It can fail only where a user's template does for values that no
    /// sample has.
    ///
    /// # Errors
    /// With what is wrong.
    pub fn say(&self, text: Text, alert: &Alert, ended: Option<Instant>) -> Result<String, String> {
        let template = self.templates.get_template(text.name()).map_err(|error| explained(&error))?;
        let variables = variables::of(alert, ended, self.language, &self.calendar);
        let said = template.render(Value::from(variables)).map_err(|error| explained(&error))?;
        Ok(said.trim().to_owned())
    }

    /// What the alert that always fires says.
    #[must_use]
    pub const fn alive(&self) -> &'static str {
        match self.language {
            Language::English => "fournines is alive and its alerts arrive",
            Language::Chinese => "fournines 运行正常，告警可送达",
        }
    }

    /// Says it once for every kind of alert, with all that can be known and with as little as there can be.
    fn check(&self, text: Text) -> Result<(), String> {
        let template = self.templates.get_template(text.name()).map_err(|error| explained(&error))?;
        // What a branch names that no sample takes is found by looking at the text.
        let mut named: Vec<String> = template.undeclared_variables(false).into_iter().collect();
        named.sort();
        let is_known =
            |name: &str| VARIABLES.contains(&name) || self.templates.globals().any(|(global, _)| global == name);
        if let Some(unknown) = named.into_iter().find(|name| !is_known(name)) {
            return Err(format!("there is no variable `{unknown}`; there are {}", VARIABLES.join(", ")));
        }
        for (alert, ended) in samples::all() {
            let failed = |problem| format!("of a sample of {}: {problem}", alert.key.name.name());
            if self.say(text, &alert, ended).map_err(failed)?.is_empty() {
                return Err(format!("says nothing of a sample of {}", alert.key.name.name()));
            }
        }
        Ok(())
    }
}

/// What is not known is nothing, not the word `none`.
fn nothing_for_none(
    out: &mut Output<'_>,
    state: &mut minijinja::State<'_, '_>,
    value: &Value,
) -> Result<(), minijinja::Error> {
    if value.is_none() { Ok(()) } else { escape_formatter(out, state, value) }
}

/// What is wrong in a template, and in which of its lines.
fn explained(error: &minijinja::Error) -> String {
    let line = error.line().map_or_else(String::new, |line| format!("line {line}: "));
    match error.detail() {
        Some(detail) => format!("{line}{}: {detail}", error.kind()),
        None => format!("{line}{}", error.kind()),
    }
}

#[cfg(test)]
mod tests;
