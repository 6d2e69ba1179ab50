// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Acts for a test, and refuses to be paid
contract RefusingReceiver {
    /// @notice Calls a contract as this one, with the ether that came along.
    function execute(address target, bytes calldata data) external payable {
        (bool done, bytes memory reason) = target.call{value: msg.value}(data);
        if (!done) {
            assembly ("memory-safe") {
                revert(add(reason, 32), mload(reason))
            }
        }
    }
}

/// @title Acts for a test, and calls back while it is paid
contract ReenteringReceiver is RefusingReceiver {
    address private _target;
    bytes private _data;

    /// @notice What the calls back returned or why they failed.
    bytes[] public answers;

    /// @notice Whether a call back went through.
    bool public reentered;

    /// @notice Sets what to call whenever ether arrives.
    function arm(address target, bytes calldata data) external {
        _target = target;
        _data = data;
    }

    receive() external payable {
        (bool done, bytes memory answer) = _target.call(_data);
        reentered = reentered || done;
        answers.push(answer);
    }
}
