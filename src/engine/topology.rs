//! The topology: what hangs on what, directly or not.

use std::collections::HashSet;

use super::registry::Registry;

/// How far up a chain of dependencies is followed: further than any network is deep, and an end to a circle.
pub(super) const DEPTH_MAX: usize = 32;

impl Registry {
    /// What it depends on without an alternative, and what that depends on, and so on. Each once, itself not.
    pub(super) fn ancestors(&self, place: u32) -> Vec<u32> {
        self.up(place, |names| names.len() == 1).into_iter().map(|(ancestor, _)| ancestor).collect()
    }

    /// What it depends on, be it one of several alternatives, and what that depends on, and so on, each once; and whether
    /// it depends on it directly.
    pub(super) fn lineage(&self, place: u32) -> Vec<(u32, bool)> {
        self.up(place, |_| true)
    }

    fn up(&self, place: u32, by: impl Fn(&[u32]) -> bool) -> Vec<(u32, bool)> {
        let mut found: Vec<(u32, bool)> = Vec::new();
        let mut next = place;
        let mut done = 0;
        loop {
            for &parent in self.parents_of(next).filter(|names| by(names)).flatten() {
                if parent != place && found.iter().all(|&(known, _)| known != parent) {
                    found.push((parent, next == place));
                }
            }
            let Some(&(parent, _)) = found.get(done) else { return found };
            next = parent;
            done += 1;
        }
    }

    /// What depends on it directly, be it as one of several alternatives.
    pub(super) fn children(&self, place: u32) -> &[u32] {
        let bounds = self.starts.get(place as usize).zip(self.starts.get(place as usize + 1));
        bounds.map_or(&[], |(&from, &until)| &self.children[from as usize..until as usize])
    }

    /// Whether it, or anything that it depends on, depends on one of several.
    pub(super) fn has_alternatives(&self, place: u32) -> bool {
        let of = |place: u32| self.parents_of(place).any(|names| names.len() > 1);
        of(place) || self.lineage(place).iter().any(|&(ancestor, _)| of(ancestor))
    }

    /// Itself and what depends on it, directly or not, be it as one of several alternatives.
    pub(super) fn below(&self, place: u32) -> Vec<u32> {
        self.down(place, |_, _| true)
    }

    /// Itself and what depends on it, directly or not, without an alternative.
    pub(super) fn with_descendants(&self, place: u32) -> Vec<u32> {
        self.down(place, |child, parent| self.parents_of(child).any(|names| *names == [parent]))
    }

    fn down(&self, place: u32, by: impl Fn(u32, u32) -> bool) -> Vec<u32> {
        let mut found = vec![place];
        let mut known = HashSet::from([place]);
        let mut done = 0;
        while let Some(&parent) = found.get(done) {
            done += 1;
            let children = self.children(parent).iter().copied();
            found.extend(children.filter(|&child| by(child, parent) && known.insert(child)));
        }
        found
    }
}
