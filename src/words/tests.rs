//! Tests of the words.

use super::samples::{BEGAN, all, sample};
use super::*;
use crate::config::DEFAULTS;
use crate::model::alert::AlertName;
use crate::model::because::Because;
use crate::model::time::Span;

fn with(language: Language, own: &[(Text, &str)]) -> Result<Words, Vec<(Text, String)>> {
    let own: Vec<(Text, String)> = own.iter().map(|&(text, source)| (text, source.to_owned())).collect();
    Words::new(language, Calendar::new("Asia/Shanghai").unwrap(), &own)
}

fn said(language: Language, alert: &Alert, ended: Option<Instant>) -> [String; 2] {
    let words = with(language, &[]).unwrap();
    Text::ALL.map(|text| words.say(text, alert, ended).unwrap())
}

#[test]
fn an_interruption_is_told_in_english() {
    let alert = sample(AlertName::ServiceInterruption, true);
    let [summary, description] = said(Language::English, &alert, None);
    assert_eq!(summary, "DRILL: Second-level interruption of core/gz-1 and 11 more, about 32000 users");
    assert_eq!(
        description,
        "This is the drill ring-cut/1; nothing is out. core/gz-1 has been down since 2026-03-01 14:00:00+08:00. \
         12 services are out. 32000 users affected, by the catalogue. Region: guangzhou. Groups: gold, backbone. both \
         uplinks LOS. Cause: external (power, digging, weather, other networks). Why: second[1]: manual §4.1. \
         Acknowledged by li at 2026-03-01 14:06:00+08:00. It will be of the first level at 2026-03-01 15:00:00+08:00 \
         if nothing changes. Limits that run: repair until 2026-03-01 16:00:00+08:00, cn.oral until 2026-03-01 \
         15:00:00+08:00. Maintenance there: from 2026-03-01 18:00:00+08:00 to 2026-03-01 20:00:00+08:00."
    );
    let [_, over] = said(Language::English, &sample(AlertName::ServiceInterruption, false), None);
    assert_eq!(
        over,
        "core/gz-1 was down from 2026-03-01 14:00:00+08:00 to 2026-03-01 14:30:00+08:00, for 30m. Why: second[1]: \
         manual §4.1. It is watched until the restoration is confirmed."
    );
}

#[test]
fn an_interruption_is_told_in_chinese() {
    let alert = sample(AlertName::ServiceInterruption, true);
    let [summary, description] = said(Language::Chinese, &alert, None);
    assert_eq!(summary, "【演练】二级响应：core/gz-1 等 12 项服务中断，影响用户约 32000");
    assert_eq!(
        description,
        "本告警为演练 ring-cut/1，实际无中断。core/gz-1 自 2026-03-01 14:00:00+08:00 起中断。涉及服务 12 项。影响用户 \
         32000（按目录估计）。区域：guangzhou。所属分组：gold、backbone。both uplinks LOS。原因：外部因素（供电、施工、天气\
         或他网）。依据：second[1]: manual §4.1。已由 li 于 2026-03-01 14:06:00+08:00 响应。如无变化，将于 2026-03-01 \
         15:00:00+08:00 升为一级响应。计时中的时限：修复（2026-03-01 16:00:00+08:00 到期）、cn.oral（2026-03-01 15:00:00+08:00 \
         到期）。相关维护窗口：2026-03-01 18:00:00+08:00 起至 2026-03-01 20:00:00+08:00。"
    );
}

#[test]
fn reasons_are_told_in_the_language_and_the_zone() {
    let at_risk = sample(AlertName::ClockAtRisk, true);
    let [_, english] = said(Language::English, &at_risk, None);
    assert!(english.contains("it ends at 2026-03-01 16:00:00+08:00."), "{english}");
    let [summary, chinese] = said(Language::Chinese, &at_risk, None);
    assert!(summary.ends_with("core/gz-1“cn.oral”即将超时，时限已用去 80 %"), "{summary}");
    assert!(chinese.contains("“修复”时限 2 小时已用去 80 %，将于 2026-03-01 16:00:00+08:00 到期。"), "{chinese}");
    let [summary, budget] = said(Language::Chinese, &sample(AlertName::ErrorBudgetExhausted, false), None);
    assert_eq!(summary, "core/gz-1 30 天错误预算已耗尽");
    assert!(budget.contains("目标 99.99 %，30 天内允许中断 4 分钟 19 秒 200 毫秒。"), "{budget}");
}

#[test]
fn a_silent_source_is_told_as_what_it_is() {
    let alert = sample(AlertName::SourceSilent, true);
    let [summary, description] = said(Language::English, &alert, None);
    assert_eq!(summary, "Nothing is heard of nms-1");
    assert_eq!(
        description,
        "nms-1 has been silent since 2026-03-01 14:00:00+08:00. Why: nothing of it for longer than 5m. What it speaks \
         for is neither up nor down meanwhile, but unknown."
    );
    let [summary, description] = said(Language::Chinese, &alert, Some(BEGAN.plus(Span::from_mins(7))));
    assert_eq!(summary, "数据源 nms-1 无数据上报");
    assert!(description.starts_with("nms-1 于 2026-03-01 14:00:00+08:00 至 2026-03-01 14:07:00+08:00 静默，历时 7 分钟。依据：超过 5 分钟未收到"), "{description}");
}

/// Whatever is known or not, a text has no gap and no word of the machine's, and a drill is called one first of all.
#[test]
fn every_text_is_whole() {
    for language in [Language::English, Language::Chinese] {
        for (alert, ended) in all() {
            let texts = said(language, &alert, ended);
            for text in &texts {
                let broken = ["  ", "none", "None", "..", " .", " ,", "{", "。。", "undefined", "Z "];
                let found: Vec<_> = broken.iter().filter(|broken| text.contains(**broken)).collect();
                assert!(found.is_empty() && !text.contains('\n'), "{found:?} in {text:?}");
            }
            let begins = ["DRILL: ", "【演练】"].iter().any(|drill| texts[0].starts_with(drill));
            assert_eq!(begins, alert.key.drill().is_some(), "{}", texts[0]);
            assert!(texts[0].contains(alert.key.scope()), "{}", texts[0]);
            // Over, nothing lies ahead and nothing is asked of anybody.
            let ahead = ["will be", "until the", "Nobody", "如无变化", "待确认", "尚无人"];
            assert!(ended.is_none() || ahead.iter().all(|word| !texts[1].contains(word)), "{}", texts[1]);
        }
    }
}

#[test]
fn mistakes_in_a_template_are_named() {
    let wrong = |source: &str| match with(Language::English, &[(Text::Description, source)]) {
        Ok(_) => panic!("{source} is taken"),
        Err(mistakes) => {
            assert_eq!(mistakes.len(), 1, "{mistakes:?}");
            assert_eq!(mistakes[0].0, Text::Description);
            mistakes[0].1.clone()
        }
    };
    for (source, problem) in [
        ("x\n{% if users %}", "line 2: syntax error"),
        ("{{ scop }}", "there is no variable `scop`; there are acknowledged, "),
        // No sample goes there.
        ("{{ scope }}{% if scope == 'nowhere' %}{{ scop }}{% endif %}", "there is no variable `scop`"),
        (
            "{{ scope }}{% for clock in clocks %}{{ clock.end }}{% endfor %}",
            "of a sample of ServiceInterruption: line 1: undefined",
        ),
        ("{{ scope | shout }}", "unknown filter"),
        ("{{ scope }}{{ users + 1 }}", "line 1: "),
        ("{% if users %}{{ users }}{% endif %}", "says nothing of a sample of"),
        ("{% for a in range(1000) %}{% for b in range(1000) %}x{% endfor %}{% endfor %}", "fuel"),
    ] {
        let found = wrong(source);
        assert!(found.contains(problem), "{source}: {found}");
    }
    let both = with(Language::English, &[(Text::Summary, "{{"), (Text::Description, "{{ who }}")]).unwrap_err();
    assert_eq!(both.iter().map(|(text, _)| *text).collect::<Vec<_>>(), Text::ALL);
}

#[test]
fn a_template_of_ones_own_is_used() {
    let source = "{{ alertname }} {{ level }}/{{ next_level }} {{ users }}<{{ scope }}>";
    let words = with(Language::English, &[(Text::Summary, source)]).unwrap();
    let say = |rich| words.say(Text::Summary, &sample(AlertName::ServiceInterruption, rich), None).unwrap();
    assert_eq!(say(true), "ServiceInterruption 2/1 32000<core/gz-1>");
    assert_eq!(say(false), "ServiceInterruption 3/ <core/gz-1>", "what is not known is nothing");
}

#[test]
fn how_long_it_was_is_told_to_the_second() {
    let mut alert = sample(AlertName::LatencyTargetMissed, false);
    alert.facts.because = Because::Rule("x".to_owned());
    let ended = BEGAN.plus(Span::from_secs(3661)).plus(Span::from_micros(7));
    assert!(said(Language::English, &alert, Some(ended))[1].contains("for 1h 1m 1s."));
    assert!(said(Language::Chinese, &alert, Some(ended))[1].contains("历时 1 小时 1 分钟 1 秒。"));
}

#[test]
fn the_variables_are_those_listed_and_documented() {
    let calendar = Calendar::default();
    let section = DEFAULTS.split("[alerting.templates]").nth(1).unwrap().split("\n[log]").next().unwrap();
    let is_part = |c: char| c.is_ascii_lowercase() || c == '_';
    let documented: Vec<&str> = section.split(|c| !is_part(c)).collect();
    for (alert, ended) in all() {
        let found: Vec<&str> = variables::of(&alert, ended, Language::English, &calendar).into_keys().collect();
        assert_eq!(found, VARIABLES);
    }
    for name in VARIABLES {
        assert!(documented.contains(&name), "defaults.toml does not say what `{name}` is");
    }
}
