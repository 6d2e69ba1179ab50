// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice The shape of a model; it never changes. What a type of model has no use for is 0.
/// @param nFeatures How many features there are, 2 to 2^24.
/// @param maxFeatures How many of them one sample may have, at least 1; together they may touch 4096 words of storage.
/// @param valued Whether a sample gives a value from -127 to 127 for each of its features; otherwise every value is 1.
/// @param classes How many classes there are, 2 to 16; labels are counted from 0.
/// @param weightBits How many bits of storage a weight, count or sum takes: 8, 16 or 32, as the type of model has it.
/// @param margin Perceptrons: a sample trains the model unless the score of its class leads by more than this, per feature
/// of the sample.
/// @param smoothing Naive Bayes: what is added to every count, in 1/256.
/// @param bernoulli Naive Bayes: whether it counts presence and absence, not occurrences.
struct ModelParams {
    uint32 nFeatures;
    uint16 maxFeatures;
    bool valued;
    uint8 classes;
    uint8 weightBits;
    uint16 margin;
    uint16 smoothing;
    bool bernoulli;
}

/// @title A model that is trained on-chain by a fixed rule
/// @notice A payload is 1 to 256 samples without gaps, all numbers big-endian:
///
///     sample = label:u8  n:u16  (index:u16|u24 [value:i8])*n
///
/// Indices are u16 where the model has at most 65,536 features, else u24; they increase strictly. Values stand there only in
/// valued models. A payload that breaks a rule is refused as a whole, by an error that names the sample and the fault.
interface IModel {
    /// @notice The parameters are out of range.
    error InvalidModelParams(ModelParams params);

    /// @notice A payload has at least one sample.
    error EmptyPayload();

    /// @notice A payload has at most `limit` samples.
    error TooManySamples(uint256 limit);

    /// @notice The sample needs more bytes than the payload has left.
    error TruncatedSample(uint256 sample, uint256 neededBytes, uint256 leftBytes);

    /// @notice The label is not the number of a class.
    error InvalidLabel(uint256 sample, uint256 label, uint256 classes);

    /// @notice A sample has at least one feature and at most `maxFeatures`.
    error InvalidFeatureCount(uint256 sample, uint256 n, uint256 maxFeatures);

    /// @notice The index is not the number of a feature.
    error FeatureOutOfRange(uint256 sample, uint256 index, uint256 nFeatures);

    /// @notice The index does not come after the one before it; a repeated index would train its weight twice.
    error FeaturesNotIncreasing(uint256 sample, uint256 previous, uint256 index);

    /// @notice A value is neither 0, which would be no feature, nor -128; nor is it negative where it is a count.
    error InvalidValue(uint256 sample, uint256 index, int256 value);

    /// @notice The words are not all within the model's.
    error WordsOutOfRange(uint256 firstWord, uint256 count, uint256 totalWords);

    /// @notice The word has a number that the model never has, or a lane that belongs to no weight and is not 0.
    error InvalidWord(uint256 number, uint256 word);

    /// @notice The owner wrote weights before sealing.
    /// @param firstWord The number of the first word.
    /// @param words The words, as `weights` returns them.
    event WeightsWritten(uint256 firstWord, uint256[] words);

    /// @notice Makes a fresh clone the model of a trainer, once.
    /// @param trainer The only address that may change the model.
    /// @param params Its shape.
    function initialize(address trainer, ModelParams calldata params) external;

    /// @notice Counts the samples and units of a payload by the headers alone; the features are not looked at, except that
    /// a valued model adds up the values.
    /// @param payload The samples.
    /// @return count How many samples there are.
    /// @return units Their units, `ceil(sum |value| / 64)` each.
    function measure(bytes calldata payload) external view returns (uint256 count, uint256 units);

    /// @notice Trains the model with each sample, in order. Only the trainer may call this.
    /// @param payload The samples.
    /// @return informative Bit i is set if the model predicted another label for sample i: just before it learned the sample, or,
    /// where every sample changes the model, before the payload. A sample may train the model without being informative.
    /// @return learned Bit i is set if sample i changed the model (or would have, were its weights not at their limit).
    /// @return samplesRoot The Merkle root over the samples.
    function train(bytes calldata payload)
        external
        returns (uint256 informative, uint256 learned, bytes32 samplesRoot);

    /// @notice Judges samples that were contributed before.
    /// @dev Does not check indices and labels again: what it says is meaningful only if the samples were accepted by `train`,
    /// so the caller must compare `samplesRoot`, or have a proof for each sample.
    /// @param payload The samples.
    /// @param mask Bit i asks for sample i.
    /// @return samplesRoot The Merkle root over all samples of the payload.
    /// @return agreed Bit i is set if the mask asks for sample i and the model predicts its label now.
    /// @return units The units of every sample of the payload, as 4 big-endian bytes each.
    function assess(bytes calldata payload, uint256 mask)
        external
        view
        returns (bytes32 samplesRoot, uint256 agreed, bytes memory units);

    /// @notice Predicts classes. Nothing is paid or changed, so call it without a transaction.
    /// @param payload The samples; their labels are ignored.
    /// @return labels One byte per sample: the class with the highest score, the lowest class if several have it.
    function predict(bytes calldata payload) external view returns (bytes memory labels);

    /// @notice Writes weights directly. Only the trainer may call this; it does so for the owner, before sealing.
    /// @param firstWord The number of the first word.
    /// @param words The new words.
    function writeWeights(uint256 firstWord, uint256[] calldata words) external;

    /// @notice Reads weights as they are stored.
    /// @param firstWord The number of the first word.
    /// @param count How many words to read.
    /// @return words The words; what a lane holds is the model's affair.
    function weights(uint256 firstWord, uint256 count) external view returns (uint256[] memory words);

    /// @notice How many words the model fills, with all that stands behind its weights.
    function totalWords() external view returns (uint256);

    /// @notice The name of this type of model.
    function modelType() external pure returns (string memory);

    /// @notice The shape of the model.
    function params() external view returns (ModelParams memory);
}
