//! Garbled configurations: every network refuses them in a sentence with the file and the field, and neither panics nor
//! asks for memory, whether it is checked or built at once.

use burn::backend::Flex;
use dragentity_core::{Error, Result};
use dragentity_networks::clip::{CLIPTextConfig, CLIPVisionConfig};
use dragentity_networks::cotracker::CoTrackerConfig;
use dragentity_networks::dragentity::bundle::BundleConfig;
use dragentity_networks::dragentity::condition::ConditionConfig;
use dragentity_networks::dragentity::entity_encoder::EntityEncoderConfig;
use dragentity_networks::dragentity::human_parser::HumanParserConfig;
use dragentity_networks::dragentity::relation::RelationConfig;
use dragentity_networks::sam::image_encoder::ViTConfig;
use dragentity_networks::sam::mask_decoder::MaskDecoderConfig;
use dragentity_networks::sam::tiny_vit::TinyViTConfig;
use dragentity_networks::sam::{ImageEncoderConfig, SamConfig};
use dragentity_networks::schp::SchpConfig;
use dragentity_networks::sd15::unet_2d::UNet2DConfig;
use dragentity_networks::svd::controlnet::ControlNetConfig;
use dragentity_networks::svd::unet::{PerLevel, UNetConfig};
use dragentity_networks::svd::vae::AutoencoderKLTemporalDecoderConfig;
use dragentity_networks::weights::{ModelDir, parse_config};

/// The file that is said to be garbled.
const FILE: &str = "some/model/config.json";

/// A hundred thousand: more channels than any network has.
const MANY: usize = 100_000;

/// What is said of a configuration, checked and built.
fn said<N>(what: &str, validated: Result<()>, built: Result<N>) -> String {
    let error = validated.expect_err(what);
    assert!(matches!(error, Error::Model { .. }), "{what}: {error:?}");
    let built = built
        .err()
        .unwrap_or_else(|| panic!("{what}: it was built"));
    assert!(matches!(built, Error::Model { .. }), "{what}: {built:?}");
    // Both say the same of it, of the file by another name.
    let text = error.to_string();
    let reason = text
        .strip_prefix(&format!("model {FILE}: "))
        .unwrap_or_else(|| panic!("{what}: {text}"));
    assert!(built.to_string().ends_with(reason), "{text}\n{built}");
    reason.to_owned()
}

/// For each case: the field that is to be named, what the error says of it, and how the default is garbled.
macro_rules! refuses {
    ($test:ident, $config:ty, [$(($field:literal, $why:literal, $garble:expr)),+ $(,)?]) => {
        #[test]
        fn $test() {
            <$config>::default().validate(FILE).unwrap();
            $(
                let garble: fn(&mut $config) = $garble;
                let mut config = <$config>::default();
                garble(&mut config);
                let what = format!("{} {}", $field, $why);
                let reason = said(
                    &what,
                    config.validate(FILE),
                    config.init::<Flex>(&Default::default()),
                );
                assert!(reason.contains($field) && reason.contains($why), "{what}: {reason}");
            )+
        }
    };
}

refuses!(
    vae,
    AutoencoderKLTemporalDecoderConfig,
    [
        ("block_out_channels", "must be 1 to", |c| c
            .block_out_channels[0] =
            MANY),
        ("block_out_channels", "must be 1 to", |c| c
            .block_out_channels
            .clear()),
        (
            "block_out_channels",
            "multiples of norm_num_groups, 32",
            |c| c.block_out_channels[1] = 100
        ),
        ("norm_num_groups", "must be 1 to", |c| c.norm_num_groups = 0),
        ("layers_per_block", "must be 1 to", |c| c.layers_per_block =
            usize::MAX),
        ("latent_channels", "must be 1 to", |c| c.latent_channels =
            MANY),
        ("down_block_types", "DownEncoderBlock2D", |c| c
            .down_block_types[0] =
            "Other".into()),
        ("scaling_factor", "must be between 0", |c| c
            .scaling_factor =
            f64::NAN),
        ("latents_std", "a number above 0", |c| c.latents_std =
            Some(vec![0.0; 4])),
    ]
);

refuses!(
    unet,
    UNetConfig,
    [
        ("block_out_channels", "must be 1 to", |c| c
            .block_out_channels[0] =
            MANY),
        ("block_out_channels", "not a multiple of 32", |c| c
            .block_out_channels[0] =
            100),
        ("block_out_channels", "must be 1 to", |c| c
            .block_out_channels
            .clear()),
        ("down_block_types", "must agree", |c| c
            .down_block_types
            .clear()),
        ("num_attention_heads", "must be 1 to", |c| c
            .num_attention_heads =
            PerLevel::All(0)),
        ("num_attention_heads", "must be 1 to", |c| {
            c.num_attention_heads = PerLevel::Each(vec![5, 10, 0, 20]);
        }),
        ("num_attention_heads", "not a multiple of", |c| c
            .num_attention_heads =
            PerLevel::All(7)),
        ("cross_attention_dim", "2 values for 4 levels", |c| {
            c.cross_attention_dim = PerLevel::Each(vec![1, 2]);
        }),
        ("layers_per_block", "must be 1 to", |c| c.layers_per_block =
            PerLevel::All(MANY)),
        ("transformer_layers_per_block", "must be 1 to", |c| {
            c.transformer_layers_per_block = PerLevel::All(0);
        }),
        ("in_channels", "must be 1 to", |c| c.in_channels = MANY),
        ("addition_time_embed_dim", "must be 1 to", |c| c
            .addition_time_embed_dim =
            0),
        (
            "projection_class_embeddings_input_dim",
            "not a multiple of addition_time_embed_dim",
            |c| {
                c.projection_class_embeddings_input_dim = 700;
            }
        ),
    ]
);

refuses!(
    controlnet,
    ControlNetConfig,
    [
        ("block_out_channels", "must be 1 to", |c| c
            .unet
            .block_out_channels[3] =
            MANY),
        ("num_attention_heads", "must be 1 to", |c| c
            .unet
            .num_attention_heads =
            PerLevel::All(0)),
        ("conditioning_embedding_out_channels", "must be 1 to", |c| {
            c.conditioning_embedding_out_channels.clear();
        }),
        ("feature_embedding_out_channels", "as many", |c| c
            .feature_embedding_out_channels
            .clear()),
        ("feature_embedding_out_channels", "must be 1 to", |c| {
            c.feature_embedding_out_channels[0] = MANY;
        }),
        ("conditioning_channels", "must be 1 to", |c| c
            .conditioning_channels =
            0),
        ("moved_latent_channels", "must be 1 to", |c| c
            .moved_latent_channels =
            Some(MANY)),
    ]
);

refuses!(
    unet_2d,
    UNet2DConfig,
    [
        ("block_out_channels", "must be 1 to", |c| c
            .block_out_channels[0] =
            MANY),
        (
            "block_out_channels",
            "multiples of norm_num_groups, 32",
            |c| c.block_out_channels[0] = 100
        ),
        ("attention_head_dim", "must be 1 to", |c| c
            .attention_head_dim =
            PerLevel::All(0)),
        ("attention_head_dim", "not a multiple of", |c| c
            .attention_head_dim =
            PerLevel::All(7)),
        ("norm_num_groups", "must be 1 to", |c| c.norm_num_groups = 0),
        ("layers_per_block", "must be 1 to", |c| c.layers_per_block =
            MANY),
        ("norm_eps", "must be between 0 and 1", |c| c.norm_eps =
            f64::NAN),
        ("up_block_types", "must have 4 values", |c| c
            .up_block_types
            .clear()),
    ]
);

refuses!(
    clip_vision,
    CLIPVisionConfig,
    [
        ("hidden_size", "must be 1 to", |c| c.hidden_size = MANY),
        ("num_attention_heads", "must be 1 to", |c| c
            .num_attention_heads =
            0),
        ("hidden_size", "attention heads", |c| c
            .num_attention_heads =
            7),
        ("num_hidden_layers", "must be 1 to", |c| c
            .num_hidden_layers =
            MANY),
        ("patch_size", "must be 1 to 224", |c| c.patch_size = 0),
        ("image_size", "must be 1 to", |c| c.image_size = MANY),
        ("layer_norm_eps", "must be between 0 and 1", |c| c
            .layer_norm_eps =
            2.0),
    ]
);

refuses!(
    clip_text,
    CLIPTextConfig,
    [
        ("vocab_size", "must be 2 to", |c| c.vocab_size = usize::MAX),
        ("max_position_embeddings", "must be 2 to", |c| c
            .max_position_embeddings =
            MANY),
        ("intermediate_size", "must be 1 to", |c| c
            .intermediate_size =
            0),
        ("num_attention_heads", "must be 1 to", |c| c
            .num_attention_heads =
            0),
        ("model_type", "clip_text_model", |c| c.model_type =
            "clip_vision_model".into()),
    ]
);

refuses!(
    entity_encoder,
    EntityEncoderConfig,
    [
        ("feature_dim", "must be 1 to", |c| c.feature_dim = MANY),
        ("feature_dim", "must be 1 to", |c| c.feature_dim = 0),
        ("weights", "names no file", |c| c.weights =
            Some(String::new())),
    ]
);

refuses!(
    human_parser,
    HumanParserConfig,
    [
        ("merge_channels", "must be 1 to", |c| c.merge_channels =
            MANY),
        ("block_out_channels", "must be 1 to", |c| c
            .block_out_channels[1] =
            0),
        ("stem_channels", "multiples of norm_num_groups, 8", |c| c
            .stem_channels =
            12),
        ("norm_num_groups", "must be 1 to", |c| c.norm_num_groups = 0),
        ("layers_per_block", "must be 1 to", |c| c.layers_per_block
            [0] = 1024),
        ("crop_side", "not a multiple of 16", |c| c.crop_side = 100),
    ]
);

refuses!(
    relation,
    RelationConfig,
    [
        ("dim", "must be 1 to", |c| c.dim = MANY),
        ("heads", "must be 1 to", |c| c.heads = 0),
        ("kernels", "must be 1 to", |c| c.kernels = MANY),
        ("dim_out", "not a multiple of heads 7", |c| c.heads = 7),
    ]
);

refuses!(
    sam_vit,
    ViTConfig,
    [
        ("embed_dim", "must be 1 to", |c| c.embed_dim = MANY),
        ("num_heads", "must be 1 to", |c| c.num_heads = 0),
        ("embed_dim", "not a multiple of num_heads 7", |c| c
            .num_heads =
            7),
        ("patch_size", "must be 1 to", |c| c.patch_size = 0),
        ("img_size", "not a multiple of patch_size 15", |c| c
            .patch_size =
            15),
        ("patches along a side", "must be 1 to", |c| c.patch_size = 2),
        ("windows", "must be 1 to", |c| c.windows.clear()),
        ("windows", "must be 1 to 64", |c| c.windows[3] = 0),
    ]
);

refuses!(
    sam_tiny_vit,
    TinyViTConfig,
    [
        ("embed_dims", "must be 1 to", |c| c.embed_dims[1] = MANY),
        ("embed_dims", "not a multiple of 2", |c| c.embed_dims[0] =
            63),
        ("num_heads", "must be 1 to", |c| c.num_heads[0] = 0),
        ("embed_dims", "not a multiple of num_heads 7", |c| c
            .num_heads[2] =
            7),
        ("depths", "must be 1 to", |c| c.depths[2] = MANY),
        ("window_sizes", "must be 1 to", |c| c.window_sizes[1] = 0),
        ("img_size", "not a multiple of 16", |c| c.img_size = 1000),
    ]
);

refuses!(
    sam_mask_decoder,
    MaskDecoderConfig,
    [
        ("transformer_dim", "must be 1 to", |c| c.transformer_dim =
            MANY),
        ("transformer_dim", "not a multiple of 8", |c| {
            c.transformer_dim = 4;
            c.num_heads = 2;
        }),
        ("num_heads", "must be 1 to", |c| c.num_heads = 0),
        ("num_heads", "not a multiple of", |c| c.num_heads = 7),
        ("num_mask_tokens", "must be 2 to", |c| c.num_mask_tokens = 1),
        ("depth", "must be 1 to", |c| c.depth = MANY),
    ]
);

refuses!(
    cotracker,
    CoTrackerConfig,
    [
        ("window_len", "must be 2 to", |c| c.window_len = 0),
        ("corr_radius", "must be 1 to", |c| c.corr_radius = MANY),
        ("latent_dim", "not a multiple of 4", |c| c.latent_dim = 126),
        ("hidden_size", "not a multiple of", |c| c.hidden_size = 100),
        ("hidden_size", "must be 1 to", |c| c.hidden_size = MANY),
        ("depth", "must be 1 to", |c| c.depth = MANY),
        ("corr_mlp", "must be 1 to", |c| c.corr_mlp[0] = 0),
    ]
);

refuses!(
    schp,
    SchpConfig,
    [
        ("planes", "must be 1 to", |c| c.planes[3] = MANY),
        ("layers", "must be 1 to", |c| c.layers[2] = MANY),
        ("stem", "must be 1 to", |c| c.stem[0] = 0),
        ("head", "must be 1 to", |c| c.head = MANY),
    ]
);

#[test]
fn sam_as_a_whole() {
    let refused = |change: fn(&mut SamConfig), why: &str| {
        let mut config = SamConfig::vit_b();
        change(&mut config);
        let device = Default::default();
        let vit = ViTConfig::default().init::<Flex>(&device).unwrap();
        let reason = said(
            why,
            config.validate(FILE),
            config.networks::<Flex, _>(vit, &device),
        );
        assert!(reason.contains(why), "{why}: {reason}");
    };
    SamConfig::vit_b().validate(FILE).unwrap();
    SamConfig::mobile().validate(FILE).unwrap();
    refused(|c| c.mask_in_chans = 6, "mask_in_chans 6");
    refused(|c| c.mask_in_chans = 0, "mask_in_chans is 0");
    refused(|c| c.mask_decoder.num_heads = 0, "num_heads is 0");
    refused(
        |c| {
            let tiny = TinyViTConfig {
                out_chans: 128,
                ..TinyViTConfig::default()
            };
            c.image_encoder = ImageEncoderConfig::Tiny(tiny);
        },
        "out_chans is 128",
    );
}

#[test]
fn what_is_shown_to_the_denoiser() {
    let refused = |change: fn(&mut ConditionConfig), why: &str| {
        let mut config = ConditionConfig::default();
        change(&mut config);
        let text = config.validate(FILE).unwrap_err().to_string();
        assert!(text.contains(FILE) && text.contains(why), "{text}");
    };
    ConditionConfig::default().validate(FILE).unwrap();
    refused(|c| c.vae_factor = 0, "vae_factor is 0; it must be 1 to");
    refused(|c| c.map_factor = MANY, "map_factor is 100000");
    refused(|c| c.min_radius = f32::NAN, "min_radius is NaN");
}

/// The shipped model, one of whose files is garbled: the file is named.
#[test]
fn a_directory_names_the_file_that_is_garbled() {
    type Garble = fn(&mut BundleConfig);
    let mini = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/mini");
    let config = pollster::block_on(BundleConfig::read(&ModelDir::new(mini))).unwrap();
    config.check("dir").unwrap();
    let cases: [(&str, &str, Garble); 13] = [
        ("vae/config.json", "block_out_channels", |c| {
            c.vae.block_out_channels[0] = MANY;
        }),
        ("unet/config.json", "addition_time_embed_dim", |c| {
            c.unet.addition_time_embed_dim = 0;
        }),
        ("unet/config.json", "num_attention_heads", |c| {
            c.unet.num_attention_heads = PerLevel::All(0);
        }),
        (
            "controlnet/config.json",
            "feature_embedding_out_channels",
            |c| {
                c.controlnet.feature_embedding_out_channels.clear();
            },
        ),
        ("controlnet/config.json", "addition_time_embed_dim", |c| {
            c.controlnet.unet.addition_time_embed_dim = 0;
        }),
        ("controlnet/config.json", "other channels or layers", |c| {
            c.controlnet.unet.layers_per_block = PerLevel::All(7);
        }),
        ("entity_encoder/config.json", "feature_dim", |c| {
            c.encoder.feature_dim = 0;
        }),
        ("model_index.json", "cross_attention_dim", |c| {
            c.unet.cross_attention_dim = PerLevel::All(128);
            c.controlnet.unet.cross_attention_dim = PerLevel::All(128);
        }),
        ("relation/config.json", "heads", |c| c.relation.heads = 0),
        ("model_index.json", "max_entities", |c| {
            c.index.max_entities = usize::MAX;
        }),
        ("model_index.json", "sample_side", |c| {
            c.index.sample_side = u32::MAX;
        }),
        ("model_index.json", "size_multiple", |c| {
            c.index.size_multiple = 0;
        }),
        ("model_index.json", "residual_std", |c| {
            c.index.residual_std = vec![f32::NAN; c.vae.latent_channels];
        }),
    ];
    for (file, field, garble) in cases {
        let mut config = config.clone();
        garble(&mut config);
        let text = config.check("dir").unwrap_err().to_string();
        assert!(
            text.starts_with(&format!("model dir/{file}: ")) && text.contains(field),
            "{file}, {field}: {text}"
        );
    }
}

/// A configuration of many fields, one of which is wrong: the search for it would read the whole once for each of them.
#[test]
fn a_long_configuration_is_refused_at_once() {
    let fields: String = (0..200_000).map(|i| format!("\"a{i}\":{i},")).collect();
    let text = format!("{{{fields}\"in_channels\": \"many\"}}");
    let read = parse_config::<UNetConfig>("unet/config.json", text.as_bytes());
    let said = read.unwrap_err().to_string();
    assert!(said.contains("unet/config.json"), "{said}");
}
