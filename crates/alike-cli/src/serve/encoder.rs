//! What turns the texts and pictures that people bring into features like those of the catalogue.

use std::path::Path;

use alike::data::Dataset;
use alike::{Error, embed};

/// Encodes texts or pictures. It runs on threads of its own and may take its time.
pub(crate) trait Encoder: Send + Sync {
    /// Whether texts can be brought, and pictures.
    fn takes(&self) -> (bool, bool);

    /// The modality of the data in which a text's features lie, and those features.
    ///
    /// # Errors
    /// [`Error::Data`] says what is wrong with the text, any other that the encoder failed.
    fn text(&self, text: &str) -> alike::Result<Encoded>;

    /// The same for a picture, given as the bytes of a file.
    ///
    /// # Errors
    /// As [`Self::text`].
    fn image(&self, bytes: &[u8]) -> alike::Result<Encoded>;
}

/// Features of something that was brought.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Encoded {
    /// Name of the modality in the data.
    pub(crate) modality: String,
    /// As many values as the data's features of that modality have.
    pub(crate) features: Vec<f32>,
}

/// Encoders saved by `alike embed`, each with the modality of the data that it made.
pub(crate) struct SavedEncoders(Vec<(String, embed::Encoder)>);

impl SavedEncoders {
    /// Opens encoders: `text.safetensors` with its encoder beside it, or `text.encoder.json`.
    ///
    /// # Errors
    /// One cannot be opened; the data have no such modality, or features of another width.
    pub(crate) fn open(named: &[(String, impl AsRef<Path>)], data: &Dataset) -> alike::Result<Self> {
        let one = |(modality, path): &(String, _)| {
            let path: &Path = AsRef::as_ref(path);
            let encoder = embed::Encoder::open(path)?;
            let features = &data.features[data.modality(modality)?];
            if features.dim != encoder.dim() {
                let (found, wanted) = (encoder.dim(), features.dim);
                let text = format!("makes {found} values, but features of `{modality}` have {wanted}");
                return Err(Error::format(path, text));
            }
            Ok((modality.clone(), encoder))
        };
        named.iter().map(one).collect::<alike::Result<_>>().map(Self)
    }

    /// Encodes with the first encoder of `wanted`; `part` is what the request calls what it brings.
    fn encode(
        &self,
        wanted: embed::Modality,
        part: &str,
        encode: impl FnOnce(&embed::Encoder) -> alike::Result<Vec<f32>>,
    ) -> alike::Result<Encoded> {
        let (modality, encoder) = self.0.iter().find(|(_, e)| e.modality() == wanted).ok_or_else(|| {
            Error::Data(format!("{part} cannot be encoded: this server has no encoder of it"))
        })?;
        let features = encode(encoder).map_err(|error| match error {
            Error::Data(why) => Error::Data(format!("{part} cannot be encoded: {why}")),
            other => other,
        })?;
        Ok(Encoded { modality: modality.clone(), features })
    }
}

impl Encoder for SavedEncoders {
    fn takes(&self) -> (bool, bool) {
        let any = |wanted| self.0.iter().any(|(_, e)| e.modality() == wanted);
        (any(embed::Modality::Text), any(embed::Modality::Image))
    }

    fn text(&self, text: &str) -> alike::Result<Encoded> {
        self.encode(embed::Modality::Text, "`text`", |e| e.text(text))
    }

    fn image(&self, bytes: &[u8]) -> alike::Result<Encoded> {
        self.encode(embed::Modality::Image, "the picture", |e| e.picture(bytes))
    }
}
