//! From the body of a request to a [`Job`] or a [`ClickJob`].

use super::answer::{Refused, refuse};
use super::entry::Extras;
use axum::extract::Multipart;
use axum::extract::multipart::{Field, MultipartError};
use axum::http::StatusCode;
use dragentity_core::Click;
use dragentity_core::ClickJob;
use dragentity_core::Job;
use dragentity_core::error::{Error, Result};
use dragentity_core::scene::settings::Choice;
use dragentity_core::scene::{Mask, Picture, Preset, Scene, Settings};
use dragentity_pipeline::interpolate::check_factor;
use dragentity_pipeline::model::{About, SceneFrom};
use std::error::Error as _;
use std::future::Future;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// Largest body of a request, in bytes.
pub const MOST_BYTES: usize = 64 << 20;
/// Largest preset, in bytes; its codec has a limit of its own.
const MOST_PRESET: usize = 16 << 20;
/// Largest list of clicks, in bytes, and most clicks in it.
const MOST_CLICKS: (usize, usize) = (1 << 16, 500);
/// Largest part of a few numbers, in bytes.
const MOST_NUMBERS: usize = 200;
/// How long a client may be silent while it sends.
const SILENCE: Duration = Duration::from_secs(20);
/// How long it may take in all.
const PATIENCE: Duration = Duration::from_secs(300);
/// How many bytes a second it must send at least, after a moment in which it may be slower.
const LEAST_RATE: u64 = 8 << 10;
const MOMENT: Duration = Duration::from_secs(10);
/// Longest name of a file that is repeated in an error, in characters.
const LONGEST_NAME: usize = 80;

/// What is sent for one job.
#[derive(Debug, Default)]
pub struct Upload {
    /// The bytes of the picture's file.
    pub picture: Vec<u8>,
    /// What the picture is called in errors.
    pub name: String,
    /// The preset: its JSON, or a link. Stable Video Diffusion needs none.
    pub preset: Option<Vec<u8>>,
    /// The bytes of a file of what is behind the things; without it that is filled.
    pub plate: Option<Vec<u8>>,
    /// What is wanted beside or of the video.
    pub extras: Extras,
}

impl Upload {
    /// The job that it asks for, on this model.
    ///
    /// # Errors
    /// Those of [`Picture::decode`], [`Preset::parse`], [`Preset::scene`] and [`Job::new`].
    pub fn job(&self, model: Option<&About>) -> Result<Job> {
        let picture = || Picture::decode(&self.picture, &self.name);
        // Whatever a client wants it says in the preset.
        let request = Choice::default();
        let bytes = match (&self.preset, model) {
            (Some(bytes), _) => bytes,
            (None, Some(model)) if !model.needs_paths() => {
                let scene = Scene {
                    picture: picture()?,
                    ..Scene::default()
                };
                let settings = model.settings(&request, SceneFrom::Picture);
                return Job::new(scene, settings, false);
            }
            (None, _) => {
                return Err(Error::Preset(
                    "there is no part \"preset\", and nothing would move; send the JSON of a preset as such".into(),
                ));
            }
        };
        let preset = std::str::from_utf8(bytes)
            .map_err(|_| Error::Preset("it is not text; send the JSON of a preset file".into()))?;
        let preset = Preset::parse(preset)?;
        let settings = match model {
            Some(model) => model.settings(&request, SceneFrom::Preset(&preset)),
            None => Settings::resolve(&request, &preset.settings, &Settings::default()),
        };
        // Nonsense that is cheap to see is seen before a large picture is decoded.
        settings.check()?;
        let mut scene = preset.scene(picture()?)?;
        if let Some(plate) = &self.plate {
            scene.behind.plate = Some(Picture::decode(plate, "the background")?);
        }
        Job::new(scene, settings, true)
    }

    /// Reads the parts `picture`, `preset`, `plate`, `reference` and `interpolate` of a `multipart/form-data` body.
    ///
    /// # Errors
    /// What the client is told, for parts that are missing, unknown, sent twice, too large or too slow.
    pub async fn read(parts: Multipart) -> Result<Self, Refused> {
        let others = [
            ("preset", MOST_PRESET),
            ("plate", MOST_BYTES),
            ("reference", MOST_NUMBERS),
            ("interpolate", MOST_NUMBERS),
        ];
        let (name, picture, [preset, plate, reference, interpolate]) = read(parts, others).await?;
        let reference = match reference.as_deref() {
            None | Some(b"false") => false,
            Some(b"true") => true,
            Some(_) => return Err(bad("the part \"reference\" is true or false")),
        };
        let factor = |bytes: Vec<u8>| {
            let number = std::str::from_utf8(&bytes).ok()?.trim().parse().ok()?;
            check_factor(number).is_ok().then_some(number)
        };
        let interpolate = match interpolate.map(factor) {
            Some(None) => return Err(bad("the part \"interpolate\" is 2 or 4")),
            found => found.flatten(),
        };
        Ok(Self {
            picture,
            name,
            preset,
            plate,
            extras: Extras {
                reference,
                interpolate,
            },
        })
    }
}

/// What is sent for one mask.
#[derive(Debug, Default)]
pub struct ClickUpload {
    picture: Vec<u8>,
    name: String,
    clicks: Option<Vec<u8>>,
    bounds: Option<Vec<u8>>,
    previous: Option<Vec<u8>>,
    candidate: Option<Vec<u8>>,
}

impl ClickUpload {
    /// The job that it asks for.
    ///
    /// # Errors
    /// Those of [`Picture::decode`] and [`Mask::from_png`]; [`Error::Job`] for clicks that are none.
    pub fn job(&self) -> Result<ClickJob> {
        let unreadable = |part: &str, error: serde_json::Error, example: &str| {
            Error::Job(format!(
                "the part \"{part}\" cannot be read ({error}); send JSON as {example}"
            ))
        };
        // A box can do without clicks.
        let clicks: Vec<Click> = match (&self.clicks, &self.bounds) {
            (None, Some(_)) => Vec::new(),
            (clicks, _) => {
                serde_json::from_slice(clicks.as_deref().unwrap_or_default()).map_err(|e| {
                    unreadable("clicks", e, r#"[{"x": 0.5, "y": 0.5, "positive": true}]"#)
                })?
            }
        };
        let bounds = self.bounds.as_deref().map(serde_json::from_slice);
        let bounds = bounds
            .transpose()
            .map_err(|e| unreadable("bounds", e, "[0.1, 0.2, 0.5, 0.9]"))?;
        let candidate = self.candidate.as_deref().map(serde_json::from_slice);
        let candidate = candidate
            .transpose()
            .map_err(|e| unreadable("candidate", e, "1"))?;
        let most = MOST_CLICKS.1;
        let count = clicks.len();
        if count > most || !clicks.iter().all(|c| c.x.is_finite() && c.y.is_finite()) {
            return Err(Error::Job(format!(
                "{count} clicks cannot be used: send at most {most}, in fractions of the picture"
            )));
        }
        let previous = self.previous.as_deref();
        Ok(ClickJob {
            picture: Picture::decode(&self.picture, &self.name)?,
            clicks,
            bounds,
            previous: previous
                .map(|png| Mask::from_png(png, "the mask so far"))
                .transpose()?,
            candidate: candidate.unwrap_or_default(),
        })
    }

    /// Reads the parts `picture`, `clicks`, `bounds`, `previous` and `candidate` of a `multipart/form-data` body.
    ///
    /// # Errors
    /// What the client is told, for parts that are missing, unknown, sent twice, too large or too slow.
    pub async fn read(parts: Multipart) -> Result<Self, Refused> {
        let others = [
            ("clicks", MOST_CLICKS.0),
            ("bounds", MOST_NUMBERS),
            ("previous", MOST_PRESET),
            ("candidate", MOST_NUMBERS),
        ];
        let (name, picture, [clicks, bounds, previous, candidate]) = read(parts, others).await?;
        Ok(Self {
            picture,
            name,
            clicks,
            bounds,
            previous,
            candidate,
        })
    }
}

/// Name and bytes of the part `picture`, and the bytes of those of the others that are there, each with its limit.
async fn read<const N: usize>(
    mut parts: Multipart,
    others: [(&str, usize); N],
) -> Result<(String, Vec<u8>, [Option<Vec<u8>>; N]), Refused> {
    let mut pace = Pace::default();
    let mut picture = None;
    let mut found = [const { None }; N];
    let mut name = String::new();
    while let Some(field) = pace.in_time(parts.next_field()).await? {
        let of = field.name().unwrap_or_default();
        let other = others.iter().position(|(other, _)| *other == of);
        let (slot, most) = match other {
            Some(i) => (&mut found[i], others[i].1),
            None if of == "picture" => {
                name = shown(field.file_name().unwrap_or_default());
                (&mut picture, MOST_BYTES)
            }
            None => {
                let known = others.map(|(other, _)| format!("{other:?}")).join(" and ");
                return Err(bad(&format!(
                    "there is a part {:?}; send the parts \"picture\" and {known} only",
                    shown(of)
                )));
            }
        };
        if slot.is_some() {
            return Err(bad("a part was sent twice; send each once"));
        }
        *slot = Some(bytes(field, most, &mut pace).await?);
    }
    let Some(picture) = picture else {
        return Err(bad(
            "there is no part \"picture\"; send the file's bytes as such",
        ));
    };
    if name.is_empty() {
        name = "the picture".into();
    }
    Ok((name, picture, found))
}

/// What a client calls something, fit to be repeated to it.
fn shown(name: &str) -> String {
    name.chars()
        .filter(|c| !c.is_control())
        .take(LONGEST_NAME)
        .collect()
}

fn bad(why: &str) -> Refused {
    refuse(StatusCode::BAD_REQUEST, why)
}

/// Refuses what is too large, with the limit in words.
pub fn too_large() -> Refused {
    let why = format!(
        "that is more than {} MB, too much for a picture and a preset; scale the picture down",
        MOST_BYTES >> 20
    );
    refuse(StatusCode::PAYLOAD_TOO_LARGE, why)
}

async fn bytes(mut field: Field<'_>, most: usize, pace: &mut Pace) -> Result<Vec<u8>, Refused> {
    let mut bytes = Vec::new();
    while let Some(chunk) = pace.in_time(field.chunk()).await? {
        pace.taken += chunk.len() as u64;
        if bytes.len() + chunk.len() > most {
            return Err(too_large());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// How fast a body comes.
struct Pace {
    begun: Instant,
    taken: u64,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            begun: Instant::now(),
            taken: 0,
        }
    }
}

impl Pace {
    /// Until when something must have come.
    fn deadline(&self) -> Instant {
        let enough = MOMENT + Duration::from_secs(self.taken / LEAST_RATE);
        (self.begun + enough.min(PATIENCE)).min(Instant::now() + SILENCE)
    }

    /// What `read` gives, unless the client is silent for too long, or too slow.
    async fn in_time<T>(
        &self,
        read: impl Future<Output = Result<T, MultipartError>>,
    ) -> Result<T, Refused> {
        match timeout_at(self.deadline(), read).await {
            Ok(Ok(read)) => Ok(read),
            Ok(Err(error)) if error.status() == StatusCode::PAYLOAD_TOO_LARGE => Err(too_large()),
            Ok(Err(error)) => {
                let why = error
                    .source()
                    .map_or_else(|| error.to_string(), ToString::to_string);
                Err(bad(&format!(
                    "the body cannot be read as multipart/form-data ({why}); send the parts \"picture\" and \"preset\""
                )))
            }
            Err(_) => Err(refuse(
                StatusCode::REQUEST_TIMEOUT,
                "the body did not arrive in time; send it again",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dragentity_pipeline::model::Kind;
    use proptest::prelude::*;

    const PRESET: &str = r#"{"dragentity": 1, "picture": {"width": 16, "height": 12},
        "entities": [{"name": "box", "mask": {"width": 4, "height": 3, "runs": [5, 2, 5]},
                      "trajectory": [[0.3, 0.4, 0], [0.7, 0.5, 1]]}], "settings": {"frames": 4, "seed": 7}}"#;

    fn upload() -> Upload {
        let picture = Picture::from_rgb(16, 12, (0..16 * 12 * 3).map(|i| i as u8).collect());
        Upload {
            picture: picture.unwrap().to_png().unwrap(),
            name: "a.png".into(),
            preset: Some(PRESET.into()),
            plate: None,
            extras: Extras::default(),
        }
    }

    /// `bytes` with some of them replaced, cut off or repeated.
    fn damaged(bytes: &[u8], damage: &[(usize, u8, u8)]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        for (at, value, how) in damage {
            let at = at % bytes.len().max(1);
            match how % 4 {
                0 | 1 if at < bytes.len() => bytes[at] = *value,
                2 => bytes.truncate(at),
                _ => bytes.extend_from_within(at..),
            }
            bytes.truncate(1 << 20);
        }
        bytes
    }

    fn assert_clean(upload: &Upload) {
        match upload.job(None) {
            Ok(job) => assert!(job.settings.check().is_ok() && job.scene.check().is_ok()),
            Err(Error::Picture { .. } | Error::Preset(_) | Error::Job(_)) => {}
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn a_picture_and_a_preset_are_a_job() {
        let job = upload().job(None).unwrap();
        assert_eq!((job.settings.frames, job.settings.seed), (4, 7));
        assert_eq!(job.scene.entities.len(), 1);
        let plate = |width: u32| {
            let grey = Picture::from_rgb(width, 24, vec![90; (width * 24 * 3) as usize]);
            Upload {
                plate: Some(grey.unwrap().to_png().unwrap()),
                ..upload()
            }
        };
        assert!(plate(32).job(None).unwrap().scene.behind.plate.is_some());
        let refused = |u: Upload| u.job(None).err().unwrap().to_string();
        assert!(refused(plate(64)).contains("another shape"));
        let text = Upload {
            picture: b"Dear cat,".to_vec(),
            ..upload()
        };
        assert!(refused(text).contains("a.png"));
        let many = Upload {
            preset: Some(PRESET.replace("\"frames\": 4", "\"frames\": 4000").into()),
            ..upload()
        };
        assert!(refused(many).contains("2 to 121"));
        let other = Upload {
            preset: Some(PRESET.replace("\"width\": 16", "\"width\": 160").into()),
            ..upload()
        };
        assert!(refused(other).contains("another shape"));
        let none = Upload {
            preset: None,
            ..upload()
        };
        assert!(refused(none).contains("no part \"preset\""));
    }

    #[test]
    fn a_model_without_paths_needs_no_preset() {
        let published = About {
            kind: Kind::StableVideoDiffusion,
            name: "published".into(),
            settings: Settings {
                steps: 25,
                ..Settings::default()
            },
            steered: false,
            note: None,
        };
        let job = |preset: Option<Vec<u8>>| {
            let upload = Upload { preset, ..upload() };
            upload.job(Some(&published)).unwrap()
        };
        let plain = job(None);
        assert!(!plain.scene.moves() && plain.settings.steps == 25);
        // As the command line has it: what it was trained for stays.
        let preset = job(Some(PRESET.into()));
        assert_eq!((preset.settings.steps, preset.settings.seed), (25, 7));
    }

    /// What is said of a body of `bytes` that come as one piece a second.
    async fn sent(bytes: Vec<u8>, piece: usize) -> Result<Upload, StatusCode> {
        use axum::extract::{FromRequest, Request};
        use axum::response::IntoResponse;
        let pieces: Vec<Vec<u8>> = bytes.chunks(piece).map(<[u8]>::to_vec).collect();
        let dribble = futures_util::stream::unfold(pieces.into_iter(), async |mut pieces| {
            let piece = pieces.next()?;
            tokio::time::sleep(Duration::from_secs(1)).await;
            Some((Ok::<_, std::io::Error>(piece), pieces))
        });
        let request = Request::post("/")
            .header("content-type", "multipart/form-data; boundary=edge")
            .body(axum::body::Body::from_stream(dribble))
            .unwrap();
        let parts = Multipart::from_request(request, &()).await.unwrap();
        let read = Upload::read(parts).await;
        read.map_err(|refused| refused.into_response().status())
    }

    #[tokio::test(start_paused = true)]
    async fn bodies_that_only_dribble_are_not_waited_for() {
        let head = "--edge\r\nContent-Disposition: form-data; name=\"picture\"\r\n\r\n";
        let body = [head.as_bytes(), &[7; 400_000], b"\r\n--edge--\r\n"].concat();
        let began = Instant::now();
        assert!(sent(body.clone(), 10_000).await.is_ok());
        assert!(began.elapsed() > 3 * MOMENT);
        let began = Instant::now();
        let refused = sent(body, 1000).await.unwrap_err();
        assert_eq!(refused, StatusCode::REQUEST_TIMEOUT);
        assert!(began.elapsed() < 2 * MOMENT);
    }

    proptest! {
        #[test]
        fn damaged_uploads_are_refused_or_run(
            picture in prop::collection::vec(any::<(usize, u8, u8)>(), 0..4),
            preset in prop::collection::vec(any::<(usize, u8, u8)>(), 0..4),
        ) {
            let good = upload();
            assert_clean(&Upload {
                picture: damaged(&good.picture, &picture),
                name: good.name,
                preset: Some(damaged(PRESET.as_bytes(), &preset)),
                plate: None,
                extras: good.extras,
            });
        }

        #[test]
        fn any_bytes_are_refused_or_run(picture in prop::collection::vec(any::<u8>(), 0..300), preset in ".{0,300}") {
            assert_clean(&Upload { picture, preset: Some(preset.into()), ..upload() });
        }
    }
}
