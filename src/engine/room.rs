//! Room: what lists hold back for more of their kind, and give back when there is none soon.

/// Gives back room that a list does not need now. A long one keeps an eighth of its length, so that it is not moved each
/// time: what is added to it costs the same however long it is.
pub(super) fn tighten<T>(list: &mut Vec<T>) {
    list.shrink_to(list.len() + list.len() / 8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_list_is_exact_and_a_long_one_is_seldom_moved() {
        let mut short = Vec::with_capacity(10);
        short.extend([1, 2, 3]);
        tighten(&mut short);
        assert_eq!(short.capacity(), 3);
        let (mut long, mut moved) = (Vec::new(), 0);
        for number in 0..100_000 {
            let before = long.capacity();
            long.push(number);
            tighten(&mut long);
            moved += if long.capacity() == before { 0 } else { long.len() };
        }
        assert!(long.capacity() <= long.len() * 9 / 8);
        assert!(moved < 10 * long.len(), "{moved}");
    }
}
