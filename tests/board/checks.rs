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
    all.extend(sticks_out(browser));
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

/// What is larger than the box that is drawn around it.
fn sticks_out(browser: &Browser) -> Vec<String> {
    texts(&browser.eval(&format!(
        "{DESCRIBE}
        const isDrawn = e => {{ const s = getComputedStyle(e); return parseFloat(s.borderRightWidth) > 0
            && s.borderRightStyle !== 'none' && s.overflowX === 'visible' && s.display !== 'inline'; }};
        return [...document.querySelectorAll('body *')].filter(e =>
            e.clientWidth > 0 && e.scrollWidth > e.clientWidth + 1 && isDrawn(e) && !e.matches('input, select, textarea'))
            .map(e => `${{e.scrollWidth}} px are in a box of ${{e.clientWidth}} px: ${{describe(e)}}`);"
    )))
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

/// What cannot be reached with the Tab key, and what does not show that it has the focus. Elements are known by their
/// places, since a live page puts others there while this goes on.
pub(crate) fn out_of_reach(browser: &Browser) -> Vec<String> {
    let expected = browser.eval(&format!(
        "{DESCRIBE}
        const place = e => e === document.body ? '' :
            place(e.parentElement) + '/' + [...e.parentElement.children].indexOf(e);
        // The ring of the focus may be a shadow or another colour just as well.
        const look = e => {{ const s = getComputedStyle(e);
            return [s.outlineStyle, s.outlineWidth, s.boxShadow, s.borderColor, s.backgroundColor, s.textDecorationLine].join(); }};
        const all = [...document.querySelectorAll('a[href], button, input, select, textarea, summary, [tabindex]')];
        window.wanted = new Map(all.filter(e =>
            e.checkVisibility({{ visibilityProperty: true }}) && !e.disabled && e.tabIndex >= 0
            // Of a group of radio buttons one has the focus, the others are reached with the arrows.
            && !['hidden', 'radio'].includes(e.type) && !e.closest('[inert], dialog:not([open])'),
        ).map(e => [place(e), {{ look: look(e), name: describe(e) }}]));
        window.reached = new Map();
        document.addEventListener('focusin', event => window.reached.set(
            place(event.target), look(event.target) !== window.wanted.get(place(event.target))?.look));
        document.activeElement?.blur();
        window.scrollTo(0, 0);
        return window.wanted.size;"
    ));
    // Two more than there are, since the first may go to the page itself.
    let presses = usize::try_from(expected.as_u64().unwrap()).unwrap() + 2;
    browser.press(std::iter::repeat_n(char::from(fantoccini::key::Key::Tab), presses));
    texts(&browser.eval(
        "return [...window.wanted].filter(([place]) => window.reached.get(place) !== true).map(([place, { name }]) =>
            (window.reached.has(place) ? 'it does not show that it has the focus: ' : 'Tab does not reach ') + name);",
    ))
}

fn texts(found: &Value) -> Vec<String> {
    found.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}
