//! Labels beside the ends of lines: each as near to its line as the others let it.

/// Moves places apart, so that there is `gap` between any two and all are between `top` and `bottom`; in the order in
/// which they came.
pub fn apart(wanted: &[f64], gap: f64, top: f64, bottom: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by(|one, other| wanted[*one].total_cmp(&wanted[*other]));
    let mut places: Vec<f64> = order.iter().map(|index| wanted[*index]).collect();
    for index in 0..places.len() {
        let least = if index == 0 { top } else { places[index - 1] + gap };
        places[index] = places[index].max(least);
    }
    let mut most = bottom;
    for place in places.iter_mut().rev() {
        *place = place.min(most);
        most = *place - gap;
    }
    let mut found = vec![0.0; wanted.len()];
    for (index, place) in order.into_iter().zip(places) {
        found[index] = place;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_stay_where_they_are_or_make_room() {
        assert_eq!(apart(&[50.0, 10.0], 15.0, 0.0, 100.0), [50.0, 10.0]);
        assert_eq!(apart(&[52.0, 50.0, 51.0], 15.0, 0.0, 100.0), [80.0, 50.0, 65.0]);
        assert_eq!(apart(&[99.0, 98.0], 15.0, 0.0, 100.0), [100.0, 85.0]);
    }
}
