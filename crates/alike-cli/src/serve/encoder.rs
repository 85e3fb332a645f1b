//! The place of an encoder: what turns the texts and pictures that people bring into features like those of the catalogue.

/// Encodes texts or pictures. It runs on threads of its own and may take its time.
pub(crate) trait Encoder: Send + Sync {
    /// The modality of the data in which a text's features lie, and those features.
    ///
    /// # Errors
    /// What is wrong with the text, for people.
    fn text(&self, text: &str) -> Result<Encoded, String>;

    /// The same for a picture, given as the bytes of a file.
    ///
    /// # Errors
    /// What is wrong with the picture, for people.
    fn image(&self, bytes: &[u8]) -> Result<Encoded, String>;
}

/// Features of something that was brought.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Encoded {
    /// Name of the modality in the data.
    pub(crate) modality: String,
    /// As many values as the data's features of that modality have.
    pub(crate) features: Vec<f32>,
}
