//! What answers add up to: Table 4.

use super::{Answers, Question};
use crate::Error;
use crate::Result;
use serde::Serialize;

/// The paper's Table 4: MotionCtrl, DragNUWA and its own, in percent.
const PAPER: [(Question, [u32; 3]); 3] = [
    (Question::StructuralIntegrity, [10, 25, 65]),
    (Question::TrajectoryConsistency, [20, 35, 45]),
    (Question::Overall, [10, 30, 60]),
];

/// How often a method was picked.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Share {
    /// Its name.
    pub method: String,
    /// Times, for each of [`Question::ALL`].
    pub picked: [usize; 3],
}

/// How often each method was picked, over people and trials.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Tally {
    /// Files of answers.
    pub people: usize,
    /// Answers, for each of [`Question::ALL`].
    pub answers: [usize; 3],
    /// One for each method.
    pub shares: Vec<Share>,
}

impl Tally {
    /// Adds up what several people answered to the same study.
    ///
    /// # Errors
    /// [`Error::Job`] where there are none, or they are of different studies.
    pub fn of(people: &[Answers]) -> Result<Self> {
        let Some(first) = people.first() else {
            return Err(Error::Job(
                "there are no answers to add up: the page compare.html saves them, and --answers names the files".into(),
            ));
        };
        if people
            .iter()
            .any(|p| (&p.methods, &p.trials) != (&first.methods, &first.trials))
        {
            return Err(Error::Job(
                "these answers are to different comparisons, which do not add up: name those to one".into(),
            ));
        }
        let count = |method: &str, question: Question| {
            let picks = people.iter().flat_map(|p| p.picked.values());
            picks
                .filter(|picked| picked.get(&question).is_some_and(|m| m == method))
                .count()
        };
        let shares: Vec<Share> = first
            .methods
            .iter()
            .map(|method| Share {
                method: method.clone(),
                picked: Question::ALL.map(|question| count(method, question)),
            })
            .collect();
        let answers = [0, 1, 2].map(|at| shares.iter().map(|share| share.picked[at]).sum());
        Ok(Self {
            people: people.len(),
            answers,
            shares,
        })
    }

    /// Percent of the answers to the question at this place of [`Question::ALL`]; `None` without answers.
    pub fn percent(&self, share: &Share, question: usize) -> Option<f64> {
        let all = self.answers[question];
        (all > 0).then(|| 100.0 * share.picked[question] as f64 / all as f64)
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let people = match self.people {
            1 => "1 person".into(),
            n => format!("{n} people"),
        };
        writeln!(
            f,
            "Table 4 of the paper, on results of this project: {people}\n"
        )?;
        write!(f, "|")?;
        for share in &self.shares {
            write!(f, " | {}", share.method)?;
        }
        writeln!(
            f,
            " | answers | paper: MotionCtrl | DragNUWA | DragEntity |"
        )?;
        writeln!(
            f,
            "|---|{}---|---|---|---|",
            "---|".repeat(self.shares.len())
        )?;
        for (at, (question, paper)) in PAPER.into_iter().enumerate() {
            write!(f, "| {}", question.title())?;
            for share in &self.shares {
                match self.percent(share, at) {
                    Some(percent) => write!(f, " | {percent:.0} %")?,
                    None => write!(f, " | -")?,
                }
            }
            let [a, b, c] = paper;
            writeln!(f, " | {} | {a} % | {b} % | {c} % |", self.answers[at])?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Study;
    use super::*;

    #[test]
    fn shares_are_of_the_answers_given() {
        let study = Study::of_files(["x/a/1.mp4", "x/b/1.mp4", "x/a/2.mp4", "x/b/2.mp4"]).unwrap();
        let (mut one, mut two) = (study.begin(1), study.begin(2));
        one.pick("1", Question::Overall, "a");
        one.pick("2", Question::Overall, "b");
        two.pick("1", Question::Overall, "a");
        two.pick("2", Question::Overall, "a");
        two.pick("2", Question::StructuralIntegrity, "b");
        let tally = Tally::of(&[one.clone(), two]).unwrap();
        assert_eq!(tally.answers, [1, 0, 4]);
        assert_eq!(tally.percent(&tally.shares[0], 2), Some(75.0));
        assert_eq!(tally.percent(&tally.shares[1], 0), Some(100.0));
        assert_eq!(tally.percent(&tally.shares[1], 1), None);
        let text = tally.to_string();
        assert!(
            text.contains("| Overall feeling | 75 % | 25 % | 4 | 10 % | 30 % | 60 % |"),
            "{text}"
        );
        assert!(
            text.contains("| Trajectory consistency | - | - | 0 |"),
            "{text}"
        );

        let other = Study::of_files(["x/a/1.mp4", "x/c/1.mp4"])
            .unwrap()
            .begin(1);
        assert!(Tally::of(&[one, other]).is_err());
        assert!(Tally::of(&[]).is_err());
    }
}
