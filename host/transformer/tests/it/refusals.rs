//! Weights and inputs that cannot be used.

use breakwater_convnet::Isa;
use breakwater_transformer::error::{TextError, WeightsError};
use breakwater_transformer::{ClipConfig, ClipWeights, Options, TextTower, TransformerError, VisionTower};
use safetensors::Dtype;
use safetensors::tensor::TensorView;

use crate::fixture::{Fixture, NAMES};
use crate::model::{Model, Values, slices};

const WEIGHT: &str = "vision_model.encoder.layers.1.mlp.fc2.weight";

fn refusal(model: &Model) -> WeightsError {
    match model.vision(Options::default()).map(drop).unwrap_err() {
        TransformerError::Weights(error) => error,
        other => panic!("{other}"),
    }
}

#[test]
fn a_missing_tensor_is_named_with_the_shape_it_should_have() {
    let mut model = Fixture::load(NAMES[0]).model;
    model.tensors.remove(WEIGHT);
    let error = refusal(&model);
    assert!(matches!(&error, WeightsError::Missing { name, expected } if name == WEIGHT && *expected == [64, 128]), "{error}");
    for name in Fixture::load(NAMES[0]).model.tensors.keys().filter(|name| *name != "logit_scale") {
        let mut model = Fixture::load(NAMES[0]).model;
        model.tensors.remove(name);
        let either = model.vision(Options::default()).map(drop).and(model.text(Options::default()).map(drop));
        let error = either.unwrap_err();
        assert!(matches!(&error, TransformerError::Weights(WeightsError::Missing { name: missing, .. }) if missing == name), "{error}");
    }
}

#[test]
fn another_shape_is_named_with_both() {
    let mut model = Fixture::load(NAMES[0]).model;
    model.tensors.insert(WEIGHT.to_owned(), Values { shape: vec![128, 64], numbers: vec![0.0; 128 * 64] });
    let error = refusal(&model);
    assert_eq!(error.to_string(), format!("tensor {WEIGHT:?} is [128, 64], the model needs [64, 128]"));
}

#[test]
fn numbers_that_are_not_finite_are_refused_in_every_precision() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for dtype in [Dtype::F32, Dtype::F16, Dtype::BF16] {
            let Fixture { mut model, .. } = Fixture::load(NAMES[0]);
            model.tensors.get_mut(WEIGHT).unwrap().numbers[77] = bad;
            let files = model.files(dtype, 1);
            let weights = ClipWeights::read(&slices(&files)).unwrap();
            let error = VisionTower::new(&model.config, &weights, Options::default()).map(drop).unwrap_err();
            assert!(matches!(&error, TransformerError::Weights(WeightsError::NotFinite { name }) if name == WEIGHT), "{error}");
            // The other tower does not read it.
            assert!(TextTower::new(&model.config, &weights, Options::default()).is_ok());
        }
    }
}

#[test]
fn integers_are_refused_where_a_tower_needs_numbers() {
    let bytes = [0_u8; 64];
    let view = TensorView::new(Dtype::U8, vec![64], &bytes).unwrap();
    let Fixture { mut model, .. } = Fixture::load(NAMES[0]);
    let name = "vision_model.embeddings.class_embedding";
    model.tensors.remove(name);
    let files = [model.files(Dtype::F32, 1).remove(0), safetensors::serialize([(name, view)], None).unwrap()];
    let weights = ClipWeights::read(&slices(&files)).unwrap();
    let error = VisionTower::new(&model.config, &weights, Options::default()).map(drop).unwrap_err();
    assert!(matches!(error, TransformerError::Weights(WeightsError::Dtype { dtype: Dtype::U8, .. })), "{error}");
}

#[test]
fn files_that_are_cut_off_or_hold_the_same_tensor_are_refused() {
    let fixture = Fixture::load(NAMES[0]);
    for length in (0..fixture.file.len()).step_by(9973) {
        let cut = fixture.file.get(..length).unwrap();
        let error = ClipWeights::read(&[&fixture.file, cut]).unwrap_err();
        assert!(matches!(error, WeightsError::Malformed { file: 1, .. }), "{length}: {error}");
    }
    assert!(matches!(ClipWeights::read(&[&fixture.file, &fixture.file]), Err(WeightsError::Repeated { .. })));
    let nothing = ClipWeights::read(&[]).unwrap();
    assert!(!nothing.has_vision() && !nothing.has_text());
}

#[test]
fn a_tower_that_is_not_there_is_refused() {
    let fixture = Fixture::load(NAMES[0]);
    let weights = ClipWeights::read(&[&fixture.file]).unwrap();
    let one = |vision: bool| {
        let ClipConfig { vision: images, text, projection } = fixture.model.config.clone();
        ClipConfig { vision: images.filter(|_| vision), text: text.filter(|_| !vision), projection }
    };
    let error = VisionTower::new(&one(false), &weights, Options::default()).map(drop).unwrap_err();
    assert!(matches!(error, TransformerError::NoTower { tower: "vision" }));
    let error = TextTower::new(&one(true), &weights, Options::default()).map(drop).unwrap_err();
    assert!(matches!(error, TransformerError::NoTower { tower: "text" }));
}

#[test]
fn instructions_that_the_machine_does_not_have_are_refused() {
    let fixture = Fixture::load(NAMES[0]);
    for isa in Isa::ALL.into_iter().filter(|isa| !isa.is_available()) {
        let error = fixture.model.vision(Options { isa: Some(isa), ..Options::default() }).map(drop).unwrap_err();
        assert!(matches!(error, TransformerError::Isa { isa: refused } if refused == isa));
    }
}

#[test]
fn pixels_must_be_whole_images_of_finite_numbers() {
    let fixture = Fixture::load(NAMES[0]);
    let vision = fixture.model.vision(Options::default()).unwrap();
    let mut pixels = fixture.pixels.clone();
    let error = vision.run(&pixels[1..]).unwrap_err();
    assert!(matches!(error, TransformerError::Images { values: 9215, each: 3072 }), "{error}");
    for bad in [f32::NAN, f32::INFINITY] {
        pixels[4000] = bad;
        assert!(matches!(vision.run(&pixels), Err(TransformerError::NotFinite { index: 4000 })));
    }
}

#[test]
fn texts_must_be_of_known_tokens_and_end() {
    let fixture = Fixture::load(NAMES[1]);
    let text = fixture.model.text(Options::default()).unwrap();
    let refused = |tokens: &[u32]| match text.run(&[&fixture.tokens[0], tokens]).unwrap_err() {
        TransformerError::Text { index: 1, reason } => reason,
        other => panic!("{other}"),
    };
    assert_eq!(refused(&[]), TextError::Empty);
    assert_eq!(refused(&[127; 22]), TextError::TooLong { tokens: 22, limit: 21 });
    assert!(text.run(&[&[127; 21]]).is_ok());
    assert_eq!(refused(&[5, 130, 127]), TextError::UnknownToken { token: 130, position: 1, vocabulary: 130 });
    assert_eq!(refused(&[u32::MAX]), TextError::UnknownToken { token: u32::MAX, position: 0, vocabulary: 130 });
    assert_eq!(refused(&[5, 128, 129]), TextError::NoEnd { end: 127 });
    // Where the largest token ends a text, every text ends.
    let legacy = Fixture::load(NAMES[0]).model.text(Options::default()).unwrap();
    assert_eq!(legacy.run(&[&[3, 9, 9, 4]]).unwrap(), legacy.run(&[&[3, 9]]).unwrap());
}
