//! `config.json`, good and bad.

use breakwater_transformer::ClipConfig;
use breakwater_transformer::config::{Activation, EndOfText};
use breakwater_transformer::error::ConfigError;
use serde_json::{Value, json};

fn read(value: &Value) -> Result<ClipConfig, ConfigError> {
    ClipConfig::read(value.to_string().as_bytes())
}

/// What is said of a file with this field of the image tower.
fn vision(field: &str, value: Value) -> String {
    read(&json!({ "vision_config": { field: value } })).unwrap_err().to_string()
}

/// What is said of a file with this field of the text tower.
fn text(field: &str, value: Value) -> String {
    read(&json!({ "text_config": { field: value } })).unwrap_err().to_string()
}

#[test]
fn what_is_not_said_is_vit_b_32() {
    for file in [json!({}), json!({ "model_type": "clip", "vision_config": null, "text_config_dict": null })] {
        let config = read(&file).unwrap();
        let (vision, text) = (config.vision.unwrap(), config.text.unwrap());
        assert_eq!((vision.encoder.width, vision.encoder.hidden, vision.encoder.layers, vision.encoder.heads), (768, 3072, 12, 12));
        assert_eq!((vision.edge, vision.patch, vision.tokens(), config.projection), (224, 32, 50, 512));
        assert_eq!((text.encoder.width, text.encoder.hidden, text.encoder.layers, text.encoder.heads), (512, 2048, 12, 8));
        assert_eq!((text.vocabulary, text.positions, text.end), (49_408, 77, EndOfText::Token(49_407)));
        assert_eq!((text.encoder.activation, text.encoder.epsilon), (Activation::QuickGelu, 1e-5));
    }
}

#[test]
fn other_sizes_are_read() {
    let large = json!({
        "model_type": "clip", "projection_dim": 768, "unknown": [1],
        "vision_config": { "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16,
            "image_size": 336, "patch_size": 14, "hidden_act": "gelu", "layer_norm_eps": 1e-6, "dropout": 0.0 },
        "text_config": { "eos_token_id": 2, "hidden_size": 768, "num_attention_heads": 12 },
    });
    let config = read(&large).unwrap();
    let (vision, text) = (config.vision.unwrap(), config.text.unwrap());
    assert_eq!((vision.tokens(), vision.encoder.head(), config.projection), (577, 64, 768));
    assert_eq!((vision.encoder.activation, vision.encoder.epsilon), (Activation::Gelu, 1e-6));
    assert_eq!((text.end, text.encoder.width, text.encoder.hidden), (EndOfText::Largest, 768, 2048));
}

#[test]
fn old_fields_win_as_in_transformers() {
    let old = json!({ "vision_config": { "patch_size": 16, "hidden_size": 384 }, "vision_config_dict": { "patch_size": 14 } });
    let vision = read(&old).unwrap().vision.unwrap();
    assert_eq!((vision.patch, vision.encoder.width), (14, 768));
}

#[test]
fn one_tower_alone_is_read() {
    let vision = read(&json!({ "model_type": "clip_vision_model", "patch_size": 16, "projection_dim": 7 })).unwrap();
    assert_eq!((vision.vision.unwrap().tokens(), vision.text, vision.projection), (197, None, 7));
    let text = read(&json!({ "model_type": "clip_text_model", "vocab_size": 10, "eos_token_id": 9 })).unwrap();
    assert_eq!((text.text.unwrap().vocabulary, text.vision, text.projection), (10, None, 512));
}

#[test]
fn other_models_are_refused() {
    let error = read(&json!({ "model_type": "siglip" })).unwrap_err();
    assert!(matches!(&error, ConfigError::ModelType { found } if found == "siglip"), "{error}");
}

#[test]
fn what_is_no_json_or_of_another_type_is_named() {
    for bytes in [&b""[..], b"{", b"[]", b"{} {}", b"\xff"] {
        assert!(matches!(ClipConfig::read(bytes), Err(ConfigError::Malformed { .. })));
    }
    assert!(vision("hidden_size", json!("wide")).contains("vision_config.hidden_size"));
    assert!(text("vocab_size", json!(-1)).contains("text_config.vocab_size"));
    assert!(vision("hidden_act", json!(3)).contains("vision_config.hidden_act"));
}

#[test]
fn every_limit_has_two_sides() {
    for (field, good, bad) in [
        ("image_size", json!(2048), json!(2049)),
        ("patch_size", json!(128), json!(129)),
        ("patch_size", json!(4), json!(0)),
        ("num_hidden_layers", json!(128), json!(129)),
        ("num_hidden_layers", json!(1), json!(0)),
        ("intermediate_size", json!(32_768), json!(32_769)),
        ("hidden_size", json!(8184), json!(8196)),
        ("num_attention_heads", json!(768), json!(769)),
        ("num_attention_heads", json!(1), json!(0)),
        ("num_channels", json!(3), json!(4)),
    ] {
        let good = json!({ "vision_config": { field: good } });
        assert!(read(&good).is_ok(), "{good}");
        let said = vision(field, bad);
        assert!(said.starts_with(&format!("vision_config.{field} is ")), "{said}");
    }
    for (field, good, bad) in [
        ("max_position_embeddings", json!(4097), json!(4098)),
        ("vocab_size", json!(1 << 20), json!((1 << 20) + 1)),
        ("eos_token_id", json!(49_407), json!(49_408)),
    ] {
        assert!(read(&json!({ "text_config": { field: good } })).is_ok());
        let said = text(field, bad);
        assert!(said.starts_with(&format!("text_config.{field} is ")), "{said}");
    }
    for dimension in [0, 8193] {
        assert!(
            matches!(read(&json!({ "projection_dim": dimension })), Err(ConfigError::OutOfRange { field, .. }) if field == "projection_dim")
        );
    }
    // 64 patches across are 4097 tokens.
    assert_eq!(read(&json!({ "vision_config": { "image_size": 1024, "patch_size": 16 } })).unwrap().vision.unwrap().tokens(), 4097);
    let said = read(&json!({ "vision_config": { "image_size": 1040, "patch_size": 16 } })).unwrap_err().to_string();
    assert!(said.contains("4226 tokens"), "{said}");
}

#[test]
fn values_that_make_no_model_are_refused() {
    assert!(vision("num_attention_heads", json!(7)).contains("must divide hidden_size, which is 768"));
    assert!(vision("hidden_act", json!("relu")).contains("quick_gelu and gelu"));
    for epsilon in [0.0, -1e-5, 1.5] {
        assert!(vision("layer_norm_eps", json!(epsilon)).starts_with("vision_config.layer_norm_eps is "));
    }
    // A patch is not larger than the image.
    assert!(vision("image_size", json!(31)).starts_with("vision_config.patch_size is 32"));
}
