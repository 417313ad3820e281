//! Settings and catalogues of anybody's making: mistakes are named, what is right survives being written down.

use std::fs;

use fournines::config::{
    Mistakes, Settings, Sources, from_record, read_catalog, read_scenario, to_record, write_catalog,
};

/// Reads `data` as a configuration file and as a drill's scenario. The policy of a good one is the same again when it is
/// read back from the journal.
pub fn config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Err(mistakes) = read_scenario("drill.toml", text) {
        names_mistakes(&mistakes);
    }
    // What files they name is read too: of the fuzzer's making it could be anything on this machine.
    let names_file = |line: &&str| line.split('#').next().unwrap_or("").replace("profile", "").contains("file");
    let text: String = text.split_inclusive('\n').filter(|line| !names_file(line)).collect();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("fournines.toml");
    fs::write(&file, text).expect("it can be written to");
    match Settings::load(&Sources { file: Some(file), ..Sources::default() }) {
        Ok(settings) => {
            let record = to_record(&settings.policy);
            let read = from_record(&record).unwrap_or_else(|error| panic!("{error}\n{record}"));
            assert_eq!(read, settings.policy, "the journal gives another policy back\n{record}");
            assert_eq!(to_record(&read), record, "equal policies give unequal text");
        }
        Err(mistakes) => names_mistakes(&mistakes),
    }
}

/// Reads `data` as a catalogue. A good one is the same again when it is read back from the journal.
pub fn catalog(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match read_catalog("services.csv", text) {
        Ok(services) => {
            let written = write_catalog(&services);
            let read = read_catalog("catalog", &written).unwrap_or_else(|error| panic!("{error}\n{written}"));
            assert_eq!(read, services, "the journal gives another catalogue back\n{written}");
        }
        Err(mistakes) => names_mistakes(&mistakes),
    }
}

fn names_mistakes(mistakes: &Mistakes) {
    assert!(!mistakes.0.is_empty(), "it was refused for no reason");
    assert!(!mistakes.to_string().is_empty() && mistakes.0.iter().all(|mistake| !mistake.problem.is_empty()));
}
