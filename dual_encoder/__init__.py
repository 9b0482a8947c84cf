"""Image-text models: dual encoders, their towers, tokenizers, losses and checkpoints."""

from dual_encoder.backbones import HubTextTower as HubTextTower
from dual_encoder.backbones import KerasImageTower as KerasImageTower
from dual_encoder.bert import Bert as Bert
from dual_encoder.checkpoints import CHECKPOINTS as CHECKPOINTS
from dual_encoder.checkpoints import Checkpoint as Checkpoint
from dual_encoder.checkpoints import save_packed as save_packed
from dual_encoder.convolution import ConvolutionalTower as ConvolutionalTower
from dual_encoder.encoders import ImageEncoder as ImageEncoder
from dual_encoder.encoders import TextEncoder as TextEncoder
from dual_encoder.image_tower import ImageTower as ImageTower
from dual_encoder.loading import bytes_here as bytes_here
from dual_encoder.loading import load as load
from dual_encoder.losses import contrastive_loss as contrastive_loss
from dual_encoder.losses import sigmoid_loss as sigmoid_loss
from dual_encoder.model import DualEncoder as DualEncoder
from dual_encoder.modified_resnet import ModifiedResNet as ModifiedResNet
from dual_encoder.projection import ProjectionHead as ProjectionHead
from dual_encoder.text_transformer import TextTransformer as TextTransformer
from dual_encoder.tokenizers import Tokenizer as Tokenizer
from dual_encoder.towers import IMAGE_TOWERS as IMAGE_TOWERS
from dual_encoder.towers import TEXT_TOWERS as TEXT_TOWERS
from dual_encoder.towers import image_tower as image_tower
from dual_encoder.towers import text_tower as text_tower
from dual_encoder.training import ExactTraining as ExactTraining
from dual_encoder.vision_transformer import VisionTransformer as VisionTransformer
from dual_encoder.zero_shot import ZeroShotClassifier as ZeroShotClassifier
