//! Every page as a picture in every manner, and as it is printed, to be looked at by people:
//!
//! ```text
//! cargo test --test board screenshots -- --ignored
//! ```

use std::path::PathBuf;

use crate::browser::{Browser, Manner, USUAL, WIDE};
use crate::world::World;

/// Each manner's name, language, window and scheme of colours.
const MANNERS: [(&str, &str, (u32, u32), &str); 6] = [
    ("wide", "en-GB,en", WIDE, "light"),
    ("dark", "en-GB,en", WIDE, "dark"),
    ("narrow", "en-GB,en", (390, 844), "light"),
    ("narrow-dark", "en-GB,en", (390, 844), "dark"),
    ("chinese", "zh-CN,zh", WIDE, "light"),
    ("chinese-narrow", "zh-CN,zh", (390, 844), "light"),
];

#[test]
#[ignore = "makes pictures for people to look at"]
fn screenshots() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("screenshots");
    std::fs::create_dir_all(&folder).unwrap();
    let world = World::full();
    for (manner, languages, size, scheme) in MANNERS {
        let browser = Browser::open(Manner { languages, ..USUAL });
        browser.resize(size);
        browser.prefer(scheme);
        for (name, path) in world.pages() {
            browser.visit(&world.url(&path));
            // A wall is what its screen shows.
            browser.photograph(&folder.join(format!("{name}.{manner}.png")), name != "wall");
            if size == WIDE && scheme == "light" {
                browser.print(&folder.join(format!("{name}.{manner}.pdf")));
            }
        }
    }
    println!("{}", folder.display());
}
