//! What every page of the board must be, whatever it shows: accessible, quiet on the console, no wider than the
//! window, and usable with the keyboard alone. Each check gives what is wrong, so that one run tells all of it.

use std::path::PathBuf;

use serde_json::Value;

use crate::browser::Browser;

/// The checker of accessibility, as `tests/axe` puts it there.
const AXE: &str = "axe-core-4.12.1/axe.min.js";

/// Gives an element a name by which it is found in the page's source.
const DESCRIBE: &str = "const describe = e => e.tagName.toLowerCase() + (e.id ? '#' + e.id : '') \
    + [...e.classList].map(c => '.' + c).join('') + ' «' + (e.textContent || '').trim().slice(0, 40) + '»';";

/// Texts that people get to see only by a mistake of the program's.
const SLIPS: [&str; 6] = ["undefined", "NaN", "[object ", "Invalid Date", "null", "{{"];

/// Everything that is wrong with the page that is open, but for what the keyboard has to do with.
pub(crate) fn problems(browser: &Browser, width: u32) -> Vec<String> {
    let mut all = browser.complaints();
    all.extend(structure(browser));
    all.extend(too_wide(browser, width));
    all.extend(inaccessible(browser));
    all
}

/// What axe-core finds, by its own rules and that of WCAG 2.2 about the size of what is clicked on.
pub(crate) fn inaccessible(browser: &Browser) -> Vec<String> {
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join(AXE);
    let axe = std::fs::read_to_string(&file)
        .unwrap_or_else(|error| panic!("{}: {error}: let tests/axe install it", file.display()));
    browser.eval(&axe);
    let found = browser.eval_async(
        "const found = await axe.run(document, {
            resultTypes: ['violations'],
            rules: { 'target-size': { enabled: true } },
        });
        return found.violations.flatMap(v => v.nodes.map(n =>
            `${v.id}: ${n.target.join(' ')}: ${n.failureSummary.split('\\n').slice(1).join(';').slice(0, 240)}`));",
    );
    texts(&found)
}

/// What makes the page wider than the window, or a complaint that it is.
pub(crate) fn too_wide(browser: &Browser, width: u32) -> Vec<String> {
    let script = "
        const width = WIDTH;
        const whole = document.documentElement.scrollWidth;
        if (whole <= width) return [];
        const scrolls = e => { for (let p = e.parentElement; p && p !== document.body; p = p.parentElement)
            if (getComputedStyle(p).overflowX !== 'visible') return true; return false; };
        const over = [...document.querySelectorAll('body *')].filter(e => {
            const box = e.getBoundingClientRect();
            return box.width > 0 && box.right > width + 1 && !scrolls(e);
        });
        return [`it is ${whole} px wide in a window of ${width} px`, ...over.slice(0, 4).map(describe)];";
    texts(&browser.eval(&format!("{DESCRIBE}{}", script.replace("WIDTH", &width.to_string()))))
}

/// What is wrong with the skeleton of the page and with its texts.
fn structure(browser: &Browser) -> Vec<String> {
    let seen = browser.eval(
        "return {
            headings: document.querySelectorAll('h1').length,
            main: document.querySelectorAll('main#main').length,
            title: document.title,
            text: document.body.innerText,
            isObeyed: !!window.isObeyed,
        };",
    );
    let mut wrong = Vec::new();
    for part in ["headings", "main"] {
        if seen[part] != 1 {
            wrong.push(format!("there are {} of {part}", seen[part]));
        }
    }
    if seen["title"].as_str().unwrap().trim().is_empty() {
        wrong.push("it has no title".to_owned());
    }
    if seen["isObeyed"] == true {
        wrong.push("what was written as a detail was run as a script".to_owned());
    }
    let text = seen["text"].as_str().unwrap();
    for slip in SLIPS.iter().filter(|slip| text.contains(*slip)) {
        let at = text.find(slip).unwrap();
        let from = text[..at].char_indices().rev().nth(30).map_or(0, |(from, _)| from);
        wrong.push(format!("it says {slip:?}: …{}", &text[from..at + slip.len()]));
    }
    wrong
}

/// What cannot be reached with the Tab key, and what does not show that it has the focus.
pub(crate) fn out_of_reach(browser: &Browser) -> Vec<String> {
    let expected = browser.eval(
        "window.reached = new Map();
        // The ring of the focus may belong to something around the element, or be a shadow.
        const ring = e => { const s = getComputedStyle(e);
            return `${s.outlineStyle} ${s.outlineWidth} ${s.boxShadow} ${s.borderColor} ${s.backgroundColor} ${s.textDecorationLine}`; };
        window.wanted = [...document.querySelectorAll(
            'a[href], button, input, select, textarea, summary, [tabindex]')].filter(e =>
            e.checkVisibility({ visibilityProperty: true }) && !e.disabled && e.tabIndex >= 0 && e.type !== 'hidden'
            && !e.closest('[inert], dialog:not([open])'));
        const before = new Map(window.wanted.map(e => [e, ring(e)]));
        document.addEventListener('focusin', event => {
            const e = event.target;
            window.reached.set(e, ring(e) !== before.get(e));
        });
        document.activeElement?.blur();
        window.scrollTo(0, 0);
        return window.wanted.length;",
    );
    // One more than there are, since the first may go to the page itself.
    let presses = usize::try_from(expected.as_u64().unwrap()).unwrap() + 2;
    browser.press(std::iter::repeat_n(char::from(fantoccini::key::Key::Tab), presses));
    texts(&browser.eval(&format!(
        "{DESCRIBE}
        // Of a group of radio buttons one has the focus, the others are reached with the arrows.
        const missed = window.wanted.filter(e => !window.reached.has(e) && e.type !== 'radio');
        const unseen = [...window.reached].filter(([e, seen]) => !seen && window.wanted.includes(e)).map(([e]) => e);
        return [...missed.map(e => 'Tab does not reach ' + describe(e)),
            ...unseen.map(e => 'it does not show that it has the focus: ' + describe(e))];"
    )))
}

fn texts(found: &Value) -> Vec<String> {
    found.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}
