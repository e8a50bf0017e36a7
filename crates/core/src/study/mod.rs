//! A blind comparison: people pick between videos of several methods without being told which is whose (Table 4 of the
//! paper, its user study). What is compared, in which order it is shown, and what the answers add up to; no browser, no
//! files. The page `compare.html` asks, `dragentity-lab eval --table 4` adds up.

mod tally;

pub use tally::{Share, Tally};

use crate::Error;
use crate::Result;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The folder of what the methods were given, beside those of the methods.
pub const GIVEN: &str = "given";
/// Most methods side by side: more do not fit on a screen, nor in anybody's eye.
pub const MAX_METHODS: usize = 9;
/// Most trials of a study.
pub const MAX_TRIALS: usize = 1000;
/// What a file of results may be: the browser plays them all.
const ENDINGS: [&str; 7] = ["mp4", "webm", "gif", "webp", "png", "jpg", "jpeg"];

/// What is asked of each trial: the paper's three perspectives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Question {
    /// Whether things stay whole.
    StructuralIntegrity,
    /// Whether they go where they were dragged.
    TrajectoryConsistency,
    /// Which one would rather have.
    Overall,
}

impl Question {
    /// All, in the paper's order.
    pub const ALL: [Self; 3] = [
        Self::StructuralIntegrity,
        Self::TrajectoryConsistency,
        Self::Overall,
    ];

    /// What the table calls it, as the paper's does.
    pub fn title(self) -> &'static str {
        match self {
            Self::StructuralIntegrity => "Structural integrity",
            Self::TrajectoryConsistency => "Trajectory consistency",
            Self::Overall => "Overall feeling",
        }
    }

    /// How a person is asked.
    pub fn asks(self) -> &'static str {
        match self {
            Self::StructuralIntegrity => "In which do things keep their shape best?",
            Self::TrajectoryConsistency => "In which do things follow their paths best?",
            Self::Overall => "Which do you like best?",
        }
    }
}

/// One picture with its paths, and what each method made of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trial {
    /// The files' common name, without its ending.
    pub name: String,
    /// Index among the files of what the methods were given, if there is one.
    pub given: Option<usize>,
    /// Index among the files of each method's result, in the order of [`Study::methods`].
    pub results: Vec<usize>,
}

/// What is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Study {
    /// Names of the methods' folders, sorted.
    pub methods: Vec<String>,
    /// Sorted by name.
    pub trials: Vec<Trial>,
    /// Names that some methods have no result for: they are not shown.
    pub incomplete: Vec<String>,
}

impl Study {
    /// From the files of a folder, each as `FOLDER/METHOD/NAME.ENDING`, in any order: files of one name in the folders of
    /// different methods are compared; `FOLDER/given/NAME.ENDING` shows what they were given. Other files do not count.
    ///
    /// # Errors
    /// [`Error::Job`] that says what is missing.
    pub fn of_files<'a>(paths: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        let mut methods: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
        for (index, path) in paths.into_iter().enumerate() {
            let mut parts = path.rsplit('/');
            let (Some(file), Some(method), Some(_)) = (parts.next(), parts.next(), parts.next())
            else {
                continue;
            };
            let Some((name, ending)) = file.rsplit_once('.') else {
                continue;
            };
            let known = ENDINGS.contains(&ending.to_ascii_lowercase().as_str());
            if known && !name.is_empty() && !method.is_empty() {
                methods.entry(method).or_default().insert(name, index);
            }
        }
        let given = methods.remove(GIVEN).unwrap_or_default();
        if methods.len() < 2 {
            return Err(Error::Job(format!(
                "there are results of {} here, and a comparison needs those of two methods or more: open a folder with \
                 one folder for each method, in which files of the same name belong together",
                match methods.keys().next() {
                    Some(one) => format!("\"{one}\" alone"),
                    None => "no method".into(),
                }
            )));
        }
        if methods.len() > MAX_METHODS {
            return Err(Error::Job(format!(
                "{} methods are too many to look at side by side: {MAX_METHODS} at most",
                methods.len()
            )));
        }
        let names: BTreeSet<&str> = methods
            .values()
            .flat_map(|files| files.keys().copied())
            .collect();
        let (mut trials, mut incomplete) = (Vec::new(), Vec::new());
        for name in names {
            let results: Option<Vec<usize>> = methods
                .values()
                .map(|files| files.get(name).copied())
                .collect();
            match results {
                Some(results) => trials.push(Trial {
                    name: name.into(),
                    given: given.get(name).copied(),
                    results,
                }),
                None => incomplete.push(name.into()),
            }
        }
        let methods: Vec<String> = methods.into_keys().map(String::from).collect();
        match trials.len() {
            0 => Err(Error::Job(format!(
                "no file has the same name in the folders of all methods ({}), so there is nothing to compare",
                methods.join(", ")
            ))),
            n if n > MAX_TRIALS => Err(Error::Job(format!(
                "{n} results of each method are more than anybody looks at: {MAX_TRIALS} at most"
            ))),
            _ => Ok(Self {
                methods,
                trials,
                incomplete,
            }),
        }
    }

    /// The order of the trials, and the order of the methods within each, that the person with this `seed` sees: nobody
    /// can tell from a place whose result it is.
    pub fn order(&self, seed: u64) -> Vec<Shown> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut shown: Vec<Shown> = (0..self.trials.len())
            .map(|trial| {
                let mut methods: Vec<usize> = (0..self.methods.len()).collect();
                methods.shuffle(&mut rng);
                Shown { trial, methods }
            })
            .collect();
        shown.shuffle(&mut rng);
        shown
    }

    /// No answers yet.
    pub fn begin(&self, seed: u64) -> Answers {
        Answers {
            methods: self.methods.clone(),
            trials: self.names(),
            seed,
            picked: BTreeMap::new(),
        }
    }

    /// Whether `answers` are to this study.
    pub fn owns(&self, answers: &Answers) -> bool {
        answers.methods == self.methods && answers.trials == self.names()
    }

    fn names(&self) -> Vec<String> {
        self.trials.iter().map(|trial| trial.name.clone()).collect()
    }
}

/// A trial as somebody sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Index among [`Study::trials`].
    pub trial: usize,
    /// Indices among [`Study::methods`], from left to right.
    pub methods: Vec<usize>,
}

/// What one person answered: the file that the page saves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answers {
    /// [`Study::methods`]
    pub methods: Vec<String>,
    /// Names of all of its trials.
    pub trials: Vec<String>,
    /// Of the order in which this person saw everything.
    pub seed: u64,
    /// The method that was picked, for each trial's name and each question that was answered.
    pub picked: BTreeMap<String, BTreeMap<Question, String>>,
}

impl Answers {
    /// From a saved file's text.
    ///
    /// # Errors
    /// [`Error::Job`] naming `name` and what is wrong with it.
    pub fn parse(text: &str, name: &str) -> Result<Self> {
        let refuse = |why: String| {
            Error::Job(format!(
                "{name}: no answers of a comparison ({why}); save them anew on the page"
            ))
        };
        let answers: Self = serde_json::from_str(text).map_err(|e| refuse(e.to_string()))?;
        let picked = answers.picked.values().flat_map(BTreeMap::values);
        match picked
            .into_iter()
            .find(|method| !answers.methods.contains(method))
        {
            Some(method) => Err(refuse(format!("\"{method}\" is none of its methods"))),
            None => Ok(answers),
        }
    }

    /// The file's text.
    ///
    /// # Errors
    /// None that is known: [`Error::Job`] if they could not be written as JSON.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string_pretty(self).map_err(|e| Error::Job(e.to_string()))
    }

    /// Picks `method` for a trial's question.
    pub fn pick(&mut self, trial: &str, question: Question, method: &str) {
        self.picked
            .entry(trial.into())
            .or_default()
            .insert(question, method.into());
    }

    /// What was picked.
    pub fn picked(&self, trial: &str, question: Question) -> Option<&str> {
        self.picked.get(trial)?.get(&question).map(String::as_str)
    }

    /// Whether a trial's questions are all answered.
    pub fn complete(&self, trial: &str) -> bool {
        Question::ALL
            .iter()
            .all(|&question| self.picked(trial, question).is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn study() -> Study {
        Study::of_files([
            "all/b/clip 2.mp4",
            "all/a/clip 1.gif",
            "all/b/clip 1.MP4",
            "all/a/clip 2.webp",
            "all/c/clip 1.png",
            "all/c/clip 2.mp4",
            "all/c/clip 3.mp4",
            "all/given/clip 2.png",
            "all/notes.txt",
            "all/a/.hidden",
        ])
        .unwrap()
    }

    #[test]
    fn files_of_one_name_belong_together() {
        let study = study();
        assert_eq!(study.methods, ["a", "b", "c"]);
        assert_eq!(study.incomplete, ["clip 3"]);
        assert_eq!(study.trials.len(), 2);
        assert_eq!(study.trials[0].results, [1, 2, 4]);
        assert_eq!(study.trials[0].given, None);
        assert_eq!(study.trials[1].given, Some(7));
    }

    #[test]
    fn what_cannot_be_compared_is_refused() {
        let text = |paths: &[&str]| {
            Study::of_files(paths.iter().copied())
                .unwrap_err()
                .to_string()
        };
        assert!(text(&[]).contains("no method"));
        assert!(text(&["x/a/1.mp4", "x/given/1.mp4"]).contains("\"a\" alone"));
        assert!(text(&["x/a/1.mp4", "x/b/2.mp4"]).contains("(a, b)"));
        // Without a folder around them, methods are not told from the study.
        assert!(text(&["a/1.mp4", "b/1.mp4"]).contains("no method"));
        let many: Vec<String> = (0..10).map(|m| format!("x/{m}/1.mp4")).collect();
        assert!(
            Study::of_files(many.iter().map(String::as_str))
                .unwrap_err()
                .to_string()
                .contains("10 methods")
        );
    }

    #[test]
    fn answers_survive_a_file() {
        let study = study();
        let mut answers = study.begin(7);
        answers.pick("clip 1", Question::Overall, "b");
        answers.pick("clip 1", Question::Overall, "c");
        assert!(!answers.complete("clip 1"));
        for question in Question::ALL {
            answers.pick("clip 2", question, "a");
        }
        assert!(answers.complete("clip 2"));
        let back = Answers::parse(&answers.to_json().unwrap(), "x.json").unwrap();
        assert_eq!(back, answers);
        assert!(study.owns(&back));
        assert_eq!(back.picked("clip 1", Question::Overall), Some("c"));
        let other = Study::of_files(["x/a/1.mp4", "x/b/1.mp4"]).unwrap();
        assert!(!other.owns(&back));
    }

    #[test]
    fn answers_of_something_else_are_refused_by_name() {
        let text = Answers::parse("{\"clips\": 3}", "a.json")
            .unwrap_err()
            .to_string();
        assert!(text.starts_with("a.json: "), "{text}");
        let mut answers = study().begin(1);
        answers.pick("clip 1", Question::Overall, "z");
        let text = Answers::parse(&answers.to_json().unwrap(), "a.json").unwrap_err();
        assert!(text.to_string().contains("\"z\""), "{text}");
    }

    #[test]
    fn places_tell_nothing() {
        // Over many people, each method is as often on the left as any other.
        let study = study();
        let mut left = [0; 3];
        for seed in 0..3000 {
            left[study.order(seed)[0].methods[0]] += 1;
        }
        assert!(left.iter().all(|n| (900..1100).contains(n)), "{left:?}");
    }

    proptest! {
        #[test]
        fn everything_is_shown_once(seed: u64) {
            let study = study();
            let shown = study.order(seed);
            prop_assert_eq!(&shown, &study.order(seed));
            let mut trials: Vec<usize> = shown.iter().map(|s| s.trial).collect();
            trials.sort_unstable();
            prop_assert_eq!(trials, vec![0, 1]);
            for one in shown {
                let mut methods = one.methods;
                methods.sort_unstable();
                prop_assert_eq!(methods, vec![0, 1, 2]);
            }
        }

        #[test]
        fn no_names_and_no_text_panic(paths in proptest::collection::vec(".{0,12}", 0..8), text in ".{0,60}") {
            let _ = Study::of_files(paths.iter().map(String::as_str));
            let _ = Answers::parse(&text, "x");
        }
    }
}
