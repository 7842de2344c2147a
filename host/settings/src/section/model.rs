use std::path::PathBuf;
use std::time::Duration;

use crate::section::{Device, section};
use crate::value::words;

words! {
    /// What a model is made of.
    ModelKind {
        /// Two transformers, for images and texts, in the files of Hugging Face.
        Clip = "clip",
    }
}

section! {
    /// A model that gives the features of images and texts, by the id under which it is asked for. `efficientnet-lite0` is built in.
    Model = "models" named {
        /// What it is made of.
        kind: ModelKind = r#""clip""# (Restart);
        /// Its folder, as Hugging Face has it (`config.json`, `model.safetensors` or its parts), or one `.safetensors` file beside a
        /// `config.json`. Not set: the folder of its name in `models` below the data directory.
        path: Option<PathBuf> = "" (Restart);
        /// Where it runs: `auto` takes the device of the others.
        device: Device = r#""auto""# (Restart);
        /// Ids of plugins that may use it. Not set: every one whose manifest names it.
        plugins: Option<Vec<String>> = "" (Restart);
    }
}

section! {
    /// The features of images and texts.
    Embeddings = "embeddings" {
        /// The model that is asked when a call names none.
        model: String = r#""efficientnet-lite0""# (Restart);
        /// The most images or texts in one run of a model.
        max_batch: usize = "32" in "1" to "256" (Restart);
        /// How long an image or text that made a model fail is refused without being tried again.
        quarantine: Duration = r#""10m""# in r#""0s""# to r#""24h""# (Restart);
    }
}

section! {
    /// A name for a model that stands for one of two, so that they can be compared under load.
    ModelAlias = "model_aliases" named {
        /// The model that it stands for.
        model: String = r#""efficientnet-lite0""# (Restart);
        /// The other model, for whom the flag is on.
        other: Option<String> = "" (Restart);
        /// The flag that decides; the same subject always gets the same model. Not set: the flag of the alias's name.
        flag: Option<String> = "" (Restart);
    }
}
