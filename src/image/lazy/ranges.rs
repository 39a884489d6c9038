//! Merges ranges of bytes, so that a few requests return many of them.

use std::ops::Range;

/// The largest gap between ranges that may be read in excess, so that all gaps up to that size take at most `spare`
/// bytes.
pub(super) fn bridged_gap(ranges: &[Range<u64>], spare: u64) -> u64 {
    let mut sorted: Vec<&Range<u64>> = ranges.iter().collect();
    sorted.sort_by_key(|range| range.start);
    let mut gaps: Vec<u64> = sorted.windows(2).map(|pair| pair[1].start.saturating_sub(pair[0].end)).collect();
    gaps.sort_unstable();
    let mut total: u64 = 0;
    let fits = |gap: &&u64| {
        total = total.saturating_add(**gap);
        total <= spare
    };
    gaps.iter().take_while(fits).last().copied().unwrap_or(0)
}

/// Merges ranges that overlap or have at most `gap` bytes between them, in order. A merged range is not extended beyond
/// `largest` bytes; a single one may be larger. Also returns the number of bytes between merged ranges.
pub(super) fn merge(mut ranges: Vec<Range<u64>>, gap: u64, largest: u64) -> (Vec<Range<u64>>, u64) {
    ranges.sort_by_key(|range| (range.start, range.end));
    let (mut merged, mut excess) = (Vec::<Range<u64>>::new(), 0);
    for range in ranges {
        match merged.last_mut() {
            // A part of another range is never requested twice.
            Some(last) if range.start < last.end => last.end = last.end.max(range.end),
            Some(last) if range.start - last.end <= gap && range.end - last.start <= largest => {
                excess += range.start - last.end;
                last.end = range.end;
            }
            _ => merged.push(range),
        }
    }
    (merged, excess)
}

/// The bytes of `wanted` in the bodies of merged ranges.
pub(super) fn find<'b>(merged: &[Range<u64>], bodies: &'b [Vec<u8>], wanted: &Range<u64>) -> Option<&'b [u8]> {
    let at = merged.partition_point(|range| range.end < wanted.end);
    let range = merged.get(at).filter(|range| range.start <= wanted.start)?;
    bodies[at].get((wanted.start - range.start) as usize..(wanted.end - range.start) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_gaps_are_bridged_first() {
        let ranges = [0..10, 11..20, 25..30, 1000..1010];
        assert_eq!(bridged_gap(&ranges, 0), 0);
        assert_eq!(bridged_gap(&ranges, 5), 1);
        assert_eq!(bridged_gap(&ranges, 6), 5);
        assert_eq!(bridged_gap(&ranges, 10_000), 970);
        assert_eq!(bridged_gap(&[], 10), 0);
    }

    #[test]
    fn merged_ranges_contain_every_range() {
        let (merged, excess) = merge(vec![25..30, 0..10, 5..8, 11..20, 100..200], 5, 1000);
        assert_eq!((merged.as_slice(), excess), (&[0..30, 100..200][..], 6));
        assert_eq!(merge(vec![0..10, 11..20], 5, 15), (vec![0..10, 11..20], 0));
        let (overlap, excess) = merge(vec![0..10, 8..20], 0, 15);
        assert_eq!((overlap.as_slice(), excess), (std::slice::from_ref(&(0..20)), 0), "an overlap is never split");
        let bodies: Vec<Vec<u8>> = merged.iter().map(|range| (range.start as u8..range.end as u8).collect()).collect();
        assert_eq!(find(&merged, &bodies, &(11..13)), Some(&[11, 12][..]));
        assert_eq!(find(&merged, &bodies, &(199..200)), Some(&[199][..]));
        assert_eq!(find(&merged, &bodies, &(40..50)), None);
    }
}
