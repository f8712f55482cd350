"""The words that every figure uses, for readers who have not read the paper."""

WORDS = {
    "DP": "Deliberate Practice: whenever training stalls, images that the learner finds hard are generated and added",
    "static": "training on as many images, all generated beforehand",
    "omega": "strength of the guidance by the learner's entropy, as a share of the noise prediction; omega = 0 adds "
    "plain images at the same moments",
    "guidance scale": "of classifier-free guidance (1 + the paper's lambda_cfg): the larger, the more typical of their "
    "class images are, and the more alike",
    "oracle": "a classifier trained on real images; it judges generated ones and never trains a learner",
    "recall, coverage, precision": "shares, in the oracle's features, of real images that lie among generated ones, "
    "of real images with a generated one beside them, and of generated images that lie among real ones",
    "IN-100, IN-1k": "ImageNet with 100 and with all 1,000 classes",
    "OOD": "out of distribution: images of another kind than those learned from",
}
