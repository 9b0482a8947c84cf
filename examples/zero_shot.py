"""Classify an image by class names, zero-shot.

python examples/zero_shot.py shapes-tiny star.png "red star" "blue ring" "green square"
"""

import sys

import keras

import dual_encoder
import tfrecords

name, path, *class_names = sys.argv[1:]
model = dual_encoder.load(name)
image = tfrecords.read_image(path, **model.preprocessing)
classifier = dual_encoder.ZeroShotClassifier.from_names(model, class_names, ["a photo of a {}."])
probabilities = keras.ops.softmax(classifier.predict_on_batch(image[None]))[0]
for probability, class_name in sorted(zip(probabilities, class_names, strict=True), reverse=True):
    print(f"{probability:6.1%}  {class_name}")
