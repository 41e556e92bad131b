//! Whether one endpoint is well, by its answers so far. The first decides at once, because nothing is known before it;
//! from then on it takes several in a row, so that one lost packet changes nothing.

/// One endpoint's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pulse {
    /// it is well, as far as anyone knows
    pub(super) is_well: bool,
    /// it was asked before
    pub(super) is_known: bool,
    /// answers in a row that say otherwise
    contrary: u32,
}

impl Default for Pulse {
    /// Nobody asked yet: it is given the benefit of the doubt.
    fn default() -> Self {
        Pulse { is_well: true, is_known: false, contrary: 0 }
    }
}

impl Pulse {
    /// Takes an answer in. Whether that changed what it is.
    pub(super) fn feel(&mut self, is_good: bool, rise: u32, fall: u32) -> bool {
        let is_first = !std::mem::replace(&mut self.is_known, true);
        if is_good == self.is_well {
            self.contrary = 0;
            return false;
        }
        self.contrary += 1;
        let enough = if is_good { rise } else { fall };
        if !is_first && self.contrary < enough {
            return false;
        }
        (self.is_well, self.contrary) = (is_good, 0);
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn felt(answers: &str, rise: u32, fall: u32) -> String {
        let mut pulse = Pulse::default();
        let states = answers.chars().map(|answer| {
            pulse.feel(answer == '+', rise, fall);
            if pulse.is_well { '+' } else { '-' }
        });
        states.collect()
    }

    #[test]
    fn the_first_answer_counts_and_later_it_takes_several() {
        for (answers, expected) in [
            ("+--+--+", "+++++++"),
            ("+---+-++--+++", "+++----+++++" /* and */),
            ("-+-++", "----+"),
            ("-", "-"),
        ] {
            let length = expected.len();
            assert_eq!(felt(&answers[..length], 2, 3), expected, "{answers}");
        }
    }

    proptest! {
        /// It is what the last long enough run of equal answers said: nothing shorter ever changes it.
        #[test]
        fn only_runs_change_it(answers in prop::collection::vec(any::<bool>(), 1..60), rise in 1u32..5, fall in 1u32..5) {
            let mut pulse = Pulse::default();
            let mut expected = answers[0];
            for (i, answer) in answers.iter().enumerate() {
                pulse.feel(*answer, rise, fall);
                let run = answers[..=i].iter().rev().take_while(|a| *a == answer).count() as u32;
                // What belongs to the run of the first answer is what it is anyway.
                if run >= if *answer { rise } else { fall } {
                    expected = *answer;
                }
                prop_assert_eq!(pulse.is_well, expected, "after {} of {:?}", i + 1, answers);
            }
        }
    }
}
