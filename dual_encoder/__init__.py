"""Image-text models: dual encoders, their towers, tokenizers, losses and checkpoints."""

from dual_encoder._cpu_allocator import pool_memory
from dual_encoder.checkpoints import CHECKPOINTS as CHECKPOINTS
from dual_encoder.checkpoints import Checkpoint as Checkpoint
from dual_encoder.checkpoints import save_packed as save_packed
from dual_encoder.checkpoints.fetch_by_name import bytes_here as bytes_here
from dual_encoder.checkpoints.hub_check import Availability as Availability
from dual_encoder.checkpoints.hub_check import availability as availability
from dual_encoder.checkpoints.keras_hub.wrapped_image_backbones import (
    hub_image_tower as hub_image_tower,
)
from dual_encoder.checkpoints.keras_hub.wrapped_image_backbones import (
    is_hub_preset as is_hub_preset,
)
from dual_encoder.checkpoints.load import load as load
from dual_encoder.checkpoints.open_clip.tags import open_clip_tags as open_clip_tags
from dual_encoder.checkpoints.save_and_push import push_to_hub as push_to_hub
from dual_encoder.checkpoints.save_and_push import save_pretrained as save_pretrained
from dual_encoder.class_prompts import prompt_of_class as prompt_of_class
from dual_encoder.class_prompts import prompts_of as prompts_of
from dual_encoder.class_prompts import text_list as text_list
from dual_encoder.duplicate_class_names import refuse_equal_names as refuse_equal_names
from dual_encoder.fingerprint import fingerprint as fingerprint
from dual_encoder.fit_arguments import check_embeddings as check_embeddings
from dual_encoder.index.approximate import EXACT_UP_TO as EXACT_UP_TO
from dual_encoder.index.approximate import Approximate as Approximate
from dual_encoder.index.approximate import build_approximate as build_approximate
from dual_encoder.index.approximate import check_approximate as check_approximate
from dual_encoder.index.approximate import recall as recall
from dual_encoder.index.builder import UNREADABLE as UNREADABLE
from dual_encoder.index.builder import IndexBuilder as IndexBuilder
from dual_encoder.index.builder import write_part as write_part
from dual_encoder.index.exact_search import Hits as Hits
from dual_encoder.index.exact_search import Index as Index
from dual_encoder.index.exact_search import check_fingerprint as check_fingerprint
from dual_encoder.index.exact_search import top_k as top_k
from dual_encoder.index.files import CutShortError as CutShortError
from dual_encoder.index.files import IndexFacts as IndexFacts
from dual_encoder.index.files import IndexRows as IndexRows
from dual_encoder.model import DualEncoder as DualEncoder
from dual_encoder.model import unit as unit
from dual_encoder.predict_images_mixin import NamesImages as NamesImages
from dual_encoder.projection import ProjectionHead as ProjectionHead
from dual_encoder.projection import with_image_matrix as with_image_matrix
from dual_encoder.prompts.cocoop import CoCoOp as CoCoOp
from dual_encoder.prompts.coop import CoOp as CoOp
from dual_encoder.prompts.files import describe_prompts as describe_prompts
from dual_encoder.prompts.files import load_prompts as load_prompts
from dual_encoder.prompts.files import nearest_words as nearest_words
from dual_encoder.prompts.files import save_prompts as save_prompts
from dual_encoder.shortest_token_rows import longest_row as longest_row
from dual_encoder.shortest_token_rows import row_length as row_length
from dual_encoder.single_tower_models import ImageEncoder as ImageEncoder
from dual_encoder.single_tower_models import TextEncoder as TextEncoder
from dual_encoder.tensorboard import TensorBoard as TensorBoard
from dual_encoder.text_tower_as_head import ClassTextHead as ClassTextHead
from dual_encoder.tokenizer import Tokenizer as Tokenizer
from dual_encoder.tower_registry import APPLICATIONS as APPLICATIONS
from dual_encoder.tower_registry import IMAGE_TOWERS as IMAGE_TOWERS
from dual_encoder.tower_registry import TEXT_TOWERS as TEXT_TOWERS
from dual_encoder.tower_registry import image_tower as image_tower
from dual_encoder.tower_registry import image_tower_name as image_tower_name
from dual_encoder.tower_registry import text_tokenizer as text_tokenizer
from dual_encoder.tower_registry import text_tower as text_tower
from dual_encoder.towers.base import ImageTower as ImageTower
from dual_encoder.towers.base import TakesImages as TakesImages
from dual_encoder.towers.base import TextTower as TextTower
from dual_encoder.towers.base import check_size as check_size
from dual_encoder.towers.base import image_in as image_in
from dual_encoder.towers.bert import Bert as Bert
from dual_encoder.towers.modified_resnet import ModifiedResNet as ModifiedResNet
from dual_encoder.towers.small_convolutional_tower import ConvolutionalTower as ConvolutionalTower
from dual_encoder.towers.text_transformer import TextTransformer as TextTransformer
from dual_encoder.towers.vision_transformer import VisionTransformer as VisionTransformer
from dual_encoder.towers.wrapped_models import HubTextTower as HubTextTower
from dual_encoder.towers.wrapped_models import KerasImageTower as KerasImageTower
from dual_encoder.towers.wrapped_models import as_image_tower as as_image_tower
from dual_encoder.training.compile_on_logits import class_loss as class_loss
from dual_encoder.training.compile_on_logits import metrics_on_logits as metrics_on_logits
from dual_encoder.training.fused_adamw import AdamW as AdamW
from dual_encoder.training.fused_adamw import WeightByWeight as WeightByWeight
from dual_encoder.training.losses import contrastive_loss as contrastive_loss
from dual_encoder.training.losses import sigmoid_loss as sigmoid_loss
from dual_encoder.training.model_stock import model_stock as model_stock
from dual_encoder.training.replica_train_step import ExactTraining as ExactTraining
from dual_encoder.training.sample_weights import row_mean as row_mean
from dual_encoder.training.sample_weights import weighted_by_class as weighted_by_class
from dual_encoder.training.self_distillation import Teacher as Teacher
from dual_encoder.training.self_distillation import feature_distance as feature_distance
from dual_encoder.training.self_distillation import lipsum_matrix as lipsum_matrix
from dual_encoder.training.self_distillation import random_text_distance as random_text_distance
from dual_encoder.training.self_distillation import random_text_matrix as random_text_matrix
from dual_encoder.zero_shot import ZeroShotClassifier as ZeroShotClassifier
from dual_encoder.zero_shot import class_embeddings as class_embeddings
from dual_encoder.zero_shot import class_texts as class_texts

pool_memory()
