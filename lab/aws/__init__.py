"""AWS as the lab serves it: Direct Connect, EC2 (VPN, transit gateway), CloudWatch and Health on one endpoint."""

from lab.aws.app import AwsLab

__all__ = ["AwsLab"]
